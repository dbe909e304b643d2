#if !defined(_WIN32)

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/platform.h"

namespace ninc::platform {

// ---- Memory

std::byte* Map(size_t alignment, size_t size) {
  // So much more that a multiple of the alignment lies in it; what is too much is given back.
  const size_t spare = alignment > 1 ? alignment : 0;
  void* const mapped =
      mmap(nullptr, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* memory = static_cast<std::byte*>(mapped);
  if (spare == 0) return memory;
  const size_t before = -reinterpret_cast<uintptr_t>(memory) % alignment;
  if (before > 0) munmap(memory, before);
  memory += before;
  munmap(memory + size, spare - before);
  return memory;
}

void Unmap(std::byte* memory, size_t size) { munmap(memory, size); }

uint64_t ResidentBytes() {
  const int file = OpenToRead("/proc/self/statm");  // pages: all, resident, ...
  if (file < 0) return 0;
  char text[128] = {};
  const bool read = Read(file, text, sizeof(text) - 1) > 0;
  Close(file);
  unsigned long long pages = 0;
  if (!read || std::sscanf(text, "%*u %llu", &pages) != 1) return 0;
  return uint64_t{pages} * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// ---- Files

int OpenToRead(const std::string& path) { return open(path.c_str(), O_RDONLY | O_CLOEXEC); }

int OpenToWrite(const std::string& path) { return open(path.c_str(), O_WRONLY | O_CLOEXEC); }

int CreateNew(const std::string& path) {
  return open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

int64_t Read(int file, char* to, size_t size) {
  for (;;) {
    const ssize_t got = read(file, to, size);
    if (got >= 0 || errno != EINTR) return got;
  }
}

int64_t Write(int file, const char* from, size_t size) {
  constexpr size_t kMaxWrite = size_t{1} << 30;  // Linux takes at most 2 GiB a call
  for (;;) {
    const ssize_t written = write(file, from, std::min(size, kMaxWrite));
    if (written >= 0 || errno != EINTR) return written;
  }
}

int64_t SizeOf(int file) {
  struct stat info {};
  return fstat(file, &info) == 0 ? int64_t{info.st_size} : -1;
}

bool SetPermissions(int file, unsigned permissions) {
  return fchmod(file, static_cast<mode_t>(permissions)) == 0;
}

bool Flush(int file) { return fsync(file) == 0; }

bool Close(int file) { return close(file) == 0; }

FileInfo Inspect(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {};
  const FileKind kind = S_ISREG(info.st_mode)   ? FileKind::kRegular
                        : S_ISDIR(info.st_mode) ? FileKind::kDirectory
                                                : FileKind::kOther;
  return {kind, static_cast<unsigned>(info.st_mode & 07777)};
}

bool MayWrite(const std::string& path) {
  return faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0;
}

std::string ResolveLinks(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr),
                                                         &std::free);
  return real ? std::string(real.get()) : path;
}

bool Rename(const std::string& from, const std::string& to) {
  return rename(from.c_str(), to.c_str()) == 0;
}

void Remove(const std::string& path) { unlink(path.c_str()); }

void FlushDirectory(const std::string& path) {
  const int directory = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  if (fsync(directory) != 0) errno = 0;
  close(directory);
}

// ---- Processes and threads

int64_t ProcessId() { return getpid(); }

bool StartThread(void* (*main)(void*), void* argument) {
  // Signals are the host program's: Ctrl-C must interrupt its threads, not ours.
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  pthread_t thread;
  const int error = pthread_create(&thread, nullptr, main, argument);
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  if (error != 0) return false;
#if defined(__linux__)
  pthread_setname_np(thread, "ninc");
#endif
  pthread_detach(thread);
  return true;
}

void AtFork(void (*before)(), void (*in_parent)(), void (*in_child)()) {
  (void)pthread_atfork(before, in_parent, in_child);
}

}  // namespace ninc::platform

#endif
