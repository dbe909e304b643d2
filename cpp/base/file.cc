#include "base/file.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/memory_limit.h"
#include "base/platform.h"

namespace ninc {
namespace {

using platform::FileKind;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { Close(); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // Network file systems report a failed write only here.
  bool Close() {
    const int fd = std::exchange(fd_, -1);
    return fd < 0 || platform::Close(fd);
  }

 private:
  int fd_;
};

// "cannot write model.safetensors: No space left on device"
Status SystemFailure(const char* verb, const std::string& path, int error) {
  return IoFailure(
      std::string("cannot ") + verb + " " + path + ": " + std::generic_category().message(error),
      error, path);
}

// 0, or the errno of the call that failed.
int WriteAll(int fd, const std::vector<std::string_view>& pieces) {
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      const int64_t written = platform::Write(fd, piece.data(), piece.size());
      if (written < 0) return errno;
      piece.remove_prefix(static_cast<size_t>(written));
    }
  }
  return 0;
}

// Creates a file of a name not in use in `directory`; its permissions follow the umask, as those of
// a plain open() would and those of mkstemp() do not.
int CreateTemporary(const std::string& directory, std::string* path) {
  static std::atomic<unsigned> counter{0};
  constexpr int kAttempts = 100;  // names left by a killed process of the same id
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    *path = directory + "/.ninc-" + std::to_string(platform::ProcessId()) + "-" +
            std::to_string(counter.fetch_add(1)) + ".tmp";
    const int fd = platform::CreateNew(*path);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

std::string ParentDirectory(const std::string& path) {
  const size_t slash = path.find_last_of(platform::kPathSeparators);
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status WriteDirectly(const std::string& path, const std::vector<std::string_view>& pieces) {
  FileDescriptor file(platform::OpenToWrite(path));
  if (!file.valid()) return SystemFailure("write", path, errno);
  if (int error = WriteAll(file.get(), pieces); error != 0) {
    return SystemFailure("write", path, error);
  }
  return file.Close() ? Status() : SystemFailure("write", path, errno);
}

// 0, or the errno of the step that failed; the caller removes the temporary file.
int FillAndRename(int fd, const std::string& temporary, const std::string& target,
                  const std::vector<std::string_view>& pieces, const platform::FileInfo& old) {
  FileDescriptor file(fd);
  if (int error = WriteAll(fd, pieces); error != 0) return error;
  // A replaced file keeps its permissions; failing to is no reason to lose the contents.
  const bool replaces = old.kind != FileKind::kNone;
  if (replaces && !platform::SetPermissions(fd, old.permissions)) errno = 0;
  if (!platform::Flush(fd) || !file.Close()) return errno;
  return platform::Rename(temporary, target) ? 0 : errno;
}

}  // namespace

Status CheckFileName(const char* verb, const std::string& path) {
  const size_t nul = path.find('\0');
  if (nul == std::string::npos) return {};
  return InvalidArgument(std::string("cannot ") + verb +
                         " a file whose name has a NUL in it, after '" + path.substr(0, nul) + "'");
}

Result<std::string> ReadFile(const std::string& path, size_t limit) {
  NINC_RETURN_IF_ERROR(CheckFileName("read", path));
  const FileDescriptor file(platform::OpenToRead(path));
  if (!file.valid()) return SystemFailure("read", path, errno);
  const int64_t told = platform::SizeOf(file.get());
  if (told < 0) return SystemFailure("read", path, errno);

  // One byte more than the file is said to have, so that its end is seen without a second round.
  constexpr size_t kLeast = 4096;
  const size_t first = std::min(std::max(static_cast<size_t>(told), kLeast), limit) + 1;
  NINC_RETURN_IF_ERROR(CheckMemory("cannot read " + path, first));
  std::string contents(first, '\0');
  for (size_t size = 0;;) {
    const int64_t got = platform::Read(file.get(), contents.data() + size, contents.size() - size);
    if (got < 0) return SystemFailure("read", path, errno);
    size += static_cast<size_t>(got);
    if (size > limit) {
      return IoFailure(
          "cannot read " + path + ": it is larger than " + std::to_string(limit) + " bytes", 0,
          path);
    }
    if (got == 0) {
      contents.resize(size);
      return contents;
    }
    if (size == contents.size()) {
      // A pipe says nothing of its length and may have no end. The old block lives on until its
      // bytes are in the new one, so that the whole new one is needed besides.
      const size_t next = std::min(2 * size, limit + 1);
      NINC_RETURN_IF_ERROR(CheckMemory("cannot read " + path, next));
      contents.resize(next);
    }
  }
}

Status WriteFileAtomically(const std::string& path, const std::vector<std::string_view>& pieces) {
  if (path.empty()) return IoFailure("cannot write: the path is empty", ENOENT);
  NINC_RETURN_IF_ERROR(CheckFileName("write", path));
  const platform::FileInfo old = platform::Inspect(path);
  const bool exists = old.kind != FileKind::kNone;
  if (old.kind == FileKind::kDirectory) return SystemFailure("write", path, EISDIR);
  // Renaming over /dev/null would replace it.
  if (old.kind == FileKind::kOther) return WriteDirectly(path, pieces);

  // A rename asks the directory alone; a file that its owner made read-only stays as it is.
  if (exists && !platform::MayWrite(path)) return SystemFailure("write", path, errno);

  // The file a symbolic link leads to, so that renaming replaces that and not the link.
  const std::string target = exists ? platform::ResolveLinks(path) : path;
  const std::string directory = ParentDirectory(target);
  std::string temporary;
  const int fd = CreateTemporary(directory, &temporary);
  if (fd < 0) return SystemFailure("write", path, errno);
  if (int error = FillAndRename(fd, temporary, target, pieces, old); error != 0) {
    platform::Remove(temporary);
    return SystemFailure("write", path, error);
  }
  // The rename itself reaches the disk with the directory. The file is in place, so a file system
  // that cannot flush a directory is no failure.
  platform::FlushDirectory(directory);
  return {};
}

}  // namespace ninc
