// What the core asks of the operating system, and nothing else of the core does: platform_posix.cc
// has it for Linux and macOS, platform_windows.cc for Windows. Linux is what is built and tested.
// For the other two it is only checked that every file compiles (tools/check_targets.py), so that
// who ports the library begins with one file; there is no promise beyond that.
//
// What Linux alone has (control groups, affinity, the matrix units' permission) stays where it is
// used and is left out elsewhere.
#pragma once

#if defined(_WIN32)
#include <malloc.h>
#elif defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace ninc::platform {

// ---- Memory

// The first three are inline, because the Python module has aligned buffers of its own and sees of
// libninc nothing but its interface.

// `size` bytes, a multiple of `alignment`, which is a power of two; null where there are none.
inline std::byte* AllocateAligned(size_t alignment, size_t size) {
#if defined(_WIN32)
  return static_cast<std::byte*>(_aligned_malloc(size, alignment));
#else
  return static_cast<std::byte*>(std::aligned_alloc(alignment, size));
#endif
}

inline void FreeAligned(std::byte* memory) {
#if defined(_WIN32)
  _aligned_free(memory);
#else
  std::free(memory);
#endif
}

// A hint that these bytes lie best on huge pages. It may be refused.
inline void PreferHugePages([[maybe_unused]] std::byte* memory, [[maybe_unused]] size_t size) {
#if defined(__linux__)
  madvise(memory, size, MADV_HUGEPAGE);
#endif
}

// `size` bytes of zeros in pages of their own, that begin at a multiple of `alignment` where the
// system lets us choose; null where there are none. An alignment of 1 stands for the system's
// pages.
std::byte* Map(size_t alignment, size_t size);
void Unmap(std::byte* memory, size_t size);

// The bytes of this process that lie in memory now; 0 where the system does not tell.
uint64_t ResidentBytes();

// ---- Files

// Paths are UTF-8. What fails gives -1 or false and leaves its reason in errno.

#if defined(_WIN32)
inline constexpr const char* kPathSeparators = "/\\";
#else
inline constexpr const char* kPathSeparators = "/";
#endif

enum class FileKind { kNone, kRegular, kDirectory, kOther };
struct FileInfo {
  FileKind kind = FileKind::kNone;
  unsigned permissions = 0;
};

int OpenToRead(const std::string& path);
int OpenToWrite(const std::string& path);  // one that exists: a pipe or a device
// One that does not exist: EEXIST where it does. Its permissions are those of any new file.
int CreateNew(const std::string& path);
int64_t Read(int file, char* to, size_t size);           // the bytes read, 0 at the end
int64_t Write(int file, const char* from, size_t size);  // the bytes written, maybe not all
int64_t SizeOf(int file);                                // 0 for a pipe
bool SetPermissions(int file, unsigned permissions);
bool Flush(int file);  // to the disk
bool Close(int file);

FileInfo Inspect(const std::string& path);  // links are followed
bool MayWrite(const std::string& path);
std::string ResolveLinks(const std::string& path);            // the path itself where that fails
bool Rename(const std::string& from, const std::string& to);  // replaces `to` in one step
void Remove(const std::string& path);
// Brings what was renamed in a directory to the disk, where the system has such a thing.
void FlushDirectory(const std::string& path);

// ---- Processes and threads

int64_t ProcessId();

// Runs main(argument) in a thread that nobody joins and that takes no signals; false where the
// system gives no more threads.
bool StartThread(void* (*main)(void*), void* argument);

// Has these called around every fork of the process; does nothing where there are no forks.
void AtFork(void (*before)(), void (*in_parent)(), void (*in_child)());

}  // namespace ninc::platform
