#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "base/aligned.h"
#include "support/sanitized.h"
#include "support/temporary_folder.h"

namespace ninc {
namespace {

namespace fs = std::filesystem;

void ExpectIoError(const Status& status, const std::string& path, const std::string& reason) {
  EXPECT_EQ(status.code(), StatusCode::kIo);
  EXPECT_NE(status.message().find(path), std::string::npos) << status.message();
  EXPECT_NE(status.message().find(reason), std::string::npos) << status.message();
}

TEST(FileTest, WritesAndReadsBack) {
  const TemporaryFolder folder;
  const std::string path = folder.File("model");
  const std::string zeros(100000, '\0');
  ASSERT_TRUE(WriteFileAtomically(path, {"head", "", zeros, "tail"}).ok());
  EXPECT_EQ(ReadFile(path, 1 << 20).value(), "head" + zeros + "tail");
  ASSERT_TRUE(WriteFileAtomically(path, {"new"}).ok());
  EXPECT_EQ(ReadFile(path, 3).value(), "new");
  ASSERT_TRUE(WriteFileAtomically(path, {}).ok());
  EXPECT_EQ(ReadFile(path, 0).value(), "");
  EXPECT_EQ(folder.Count(), 1u);
}

TEST(FileTest, ReadsFilesWhoseSizeTheSystemDoesNotTell) {
#if defined(__linux__)
  EXPECT_NE(ReadFile("/proc/self/status", 1 << 20).value().find("Threads:"), std::string::npos);
#endif
}

TEST(FileTest, LimitIsExact) {
  const TemporaryFolder folder;
  const std::string path = folder.File("f");
  for (size_t size : {0, 1, 4095, 4096, 4097, 10000}) {
    Spit(path, std::string(size, 'x'));
    EXPECT_EQ(ReadFile(path, size).value().size(), size);
    if (size > 0) ExpectIoError(ReadFile(path, size - 1).status(), path, "larger than");
  }
  ExpectIoError(ReadFile("/dev/zero", 100000).status(), "/dev/zero", "larger than");
}

TEST(FileTest, ReadErrorsNamePathAndReason) {
  const TemporaryFolder folder;
  ExpectIoError(ReadFile(folder.File("no"), 1).status(), folder.File("no"), "No such file");
  ExpectIoError(ReadFile(folder.path(), 1).status(), folder.path(), "Is a directory");
  ExpectIoError(ReadFile("", 1).status(), "cannot read", "No such file");
}

TEST(FileTest, WriteErrorsNamePathAndReasonAndLeaveNothing) {
  const TemporaryFolder folder;
  const std::string orphan = folder.File("missing/model");
  ExpectIoError(WriteFileAtomically(orphan, {"x"}), orphan, "No such file or directory");
  ExpectIoError(WriteFileAtomically(folder.path(), {"x"}), folder.path(), "Is a directory");
  const std::string below = folder.File("file/model");
  Spit(folder.File("file"), "");
  ExpectIoError(WriteFileAtomically(below, {"x"}), below, "Not a directory");
  ExpectIoError(WriteFileAtomically("", {"x"}), "cannot write", "empty");
  EXPECT_EQ(folder.Count(), 1u);
}

TEST(FileTest, TheErrorTellsErrnoAndPath) {
  const TemporaryFolder folder;
  const Status missing = ReadFile(folder.File("no"), 1).status();
  EXPECT_EQ(missing.system_error(), ENOENT);
  EXPECT_EQ(missing.path(), folder.File("no"));
  EXPECT_EQ(missing.At("load").system_error(), ENOENT);
  const Status directory = WriteFileAtomically(folder.path(), {"x"});
  EXPECT_EQ(directory.system_error(), EISDIR);
  EXPECT_EQ(directory.path(), folder.path());
  Spit(folder.File("f"), "xx");
  const Status large = ReadFile(folder.File("f"), 1).status();
  EXPECT_EQ(large.system_error(), 0);
  EXPECT_EQ(large.path(), folder.File("f"));
}

TEST(FileTest, ANameWithANulIsNoOtherFilesName) {
  const TemporaryFolder folder;
  const std::string path = folder.File("model");
  Spit(path, "old");
  for (const std::string& tail : {std::string(1, '\0'), std::string("\0.tmp", 5)}) {
    const Status read = ReadFile(path + tail, 100).status();
    const Status written = WriteFileAtomically(path + tail, {"new"});
    for (const Status& status : {read, written}) {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
      EXPECT_NE(status.message().find(path + "'"), std::string::npos) << status.message();
      EXPECT_EQ(status.message().find('\0'), std::string::npos);
    }
  }
  EXPECT_EQ(Slurp(path), "old");
  EXPECT_EQ(folder.Count(), 1u);
}

TEST(FileTest, APipeIsReadAsLongAsThereIsMemory) {
#if defined(__linux__)
  const TemporaryFolder folder;
  const std::string path = folder.File("pipe");
  const std::string whole(size_t{3} << 20, 'x');
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  {
    std::thread writer([&] { Spit(path, whole); });
    EXPECT_EQ(ReadFile(path, size_t{1} << 30).value(), whole);
    writer.join();
  }
  // Less than this process holds: there is room for nothing that is looked at.
  ASSERT_EQ(setenv("NINC_MEMORY_LIMIT", "1", 1), 0);
  const auto handler = std::signal(SIGPIPE, SIG_IGN);
  {
    std::thread writer([&] { Spit(path, whole); });
    const Status status = ReadFile(path, size_t{1} << 30).status();
    EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
    EXPECT_NE(status.message().find("cannot read " + path), std::string::npos) << status.message();
    writer.join();
  }
  std::signal(SIGPIPE, handler);
  unsetenv("NINC_MEMORY_LIMIT");
#endif
}

TEST(FileTest, NoPermission) {
  // Root may write everywhere, so root becomes nobody for a while.
  const uid_t self = geteuid();
  constexpr uid_t kNobody = 65534;
  if (self == 0) {
    ASSERT_EQ(seteuid(kNobody), 0);
  }
  const TemporaryFolder folder;
  const std::string path = folder.File("model");
  Spit(path, "old");
  fs::permissions(path, fs::perms::owner_read);
  ExpectIoError(WriteFileAtomically(path, {"x"}), path, "Permission denied");
  fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec);
  ExpectIoError(WriteFileAtomically(folder.File("b"), {"x"}), "b", "Permission denied");
  fs::permissions(folder.path(), fs::perms::owner_all);
  EXPECT_EQ(Slurp(path), "old");
  if (self == 0) {
    ASSERT_EQ(seteuid(self), 0);
  }
}

TEST(FileTest, AWriteThatFailsHalfWayKeepsTheOldFile) {
  const TemporaryFolder folder;
  const std::string path = folder.File("model");
  Spit(path, "old");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{8192, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = WriteFileAtomically(path, {std::string(100000, 'x')});
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ExpectIoError(status, path, "File too large");
  EXPECT_EQ(Slurp(path), "old");
  EXPECT_EQ(folder.Count(), 1u);
#if defined(__linux__)
  ExpectIoError(WriteFileAtomically("/dev/full", {"x"}), "/dev/full", "No space left");
#endif
}

TEST(FileTest, LinksPermissionsAndDevicesStayWhatTheyAre) {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "there");
  const std::string target = folder.File("there/model"), link = folder.File("latest");
  Spit(target, "old");
  fs::permissions(target, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("there/model", link);
  ASSERT_TRUE(WriteFileAtomically(link, {"new"}).ok());
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(Slurp(target), "new");
  EXPECT_EQ(fs::status(target).permissions(), fs::perms::owner_read | fs::perms::owner_write);

  ASSERT_TRUE(WriteFileAtomically("/dev/null", {"x"}).ok());
  EXPECT_TRUE(fs::is_character_file("/dev/null"));

  const mode_t mask = umask(0);
  umask(mask);
  ASSERT_TRUE(WriteFileAtomically(folder.File("fresh"), {"x"}).ok());
  EXPECT_EQ(static_cast<mode_t>(fs::status(folder.File("fresh")).permissions()), 0666 & ~mask);
}

TEST(AlignedBufferTest, IsAlignedOrEmpty) {
  for (size_t size : {1, 63, 64, 65, 1000}) {
    AlignedBuffer buffer(size);
    EXPECT_EQ(buffer.size(), size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % AlignedBuffer::kAlignment, 0u);
    buffer.as<char>()[size - 1] = 'x';
    const AlignedBuffer moved = std::move(buffer);
    EXPECT_EQ(moved.as<char>()[size - 1], 'x');
    EXPECT_TRUE(buffer.empty());  // NOLINT(bugprone-use-after-move): that is what is tested
    EXPECT_EQ(buffer.data(), nullptr);
  }
  EXPECT_TRUE(AlignedBuffer(0).empty());
  EXPECT_TRUE(AlignedBuffer(SIZE_MAX).empty());
  if (!test::Sanitized()) {  // which stops the program
    EXPECT_TRUE(AlignedBuffer(SIZE_MAX / 4).empty());
  }
}

}  // namespace
}  // namespace ninc
