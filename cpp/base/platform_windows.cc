// Written after the documentation, compiled and never run: see platform.h.
#if defined(_WIN32)

#define NOMINMAX
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
// After windows.h, whose types it uses.
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <psapi.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <thread>

#include "base/platform.h"

namespace ninc::platform {
namespace {

// Windows' own functions take UTF-16.
std::wstring Wide(const std::string& path) {
  const int bytes = static_cast<int>(path.size());
  const int length = MultiByteToWideChar(CP_UTF8, 0, path.data(), bytes, nullptr, 0);
  std::wstring wide(static_cast<size_t>(length), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, path.data(), bytes, wide.data(), length);
  return wide;
}

int Open(const std::string& path, int flags) {
  return _wopen(Wide(path).c_str(), flags | _O_BINARY | _O_NOINHERIT, _S_IREAD | _S_IWRITE);
}

unsigned AtOnce(size_t size) { return static_cast<unsigned>(std::min<size_t>(size, INT_MAX)); }

}  // namespace

// ---- Memory

// A mapping begins at a multiple of 64 KiB here, and no part of it can be given back.
std::byte* Map(size_t, size_t size) {
  return static_cast<std::byte*>(
      VirtualAlloc(nullptr, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE));
}

void Unmap(std::byte* memory, size_t) { VirtualFree(memory, 0, MEM_RELEASE); }

uint64_t ResidentBytes() {
  PROCESS_MEMORY_COUNTERS counters = {};
  if (!K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof(counters))) return 0;
  return counters.WorkingSetSize;
}

// ---- Files

int OpenToRead(const std::string& path) { return Open(path, _O_RDONLY); }

int OpenToWrite(const std::string& path) { return Open(path, _O_WRONLY); }

int CreateNew(const std::string& path) { return Open(path, _O_WRONLY | _O_CREAT | _O_EXCL); }

int64_t Read(int file, char* to, size_t size) { return _read(file, to, AtOnce(size)); }

int64_t Write(int file, const char* from, size_t size) { return _write(file, from, AtOnce(size)); }

int64_t SizeOf(int file) { return _filelengthi64(file); }

bool SetPermissions(int, unsigned) { return true; }  // a new file has its folder's

bool Flush(int file) { return _commit(file) == 0; }

bool Close(int file) { return _close(file) == 0; }

FileInfo Inspect(const std::string& path) {
  struct _stat64 info = {};
  if (_wstat64(Wide(path).c_str(), &info) != 0) return {};
  const int kind = info.st_mode & _S_IFMT;
  return {kind == _S_IFREG   ? FileKind::kRegular
          : kind == _S_IFDIR ? FileKind::kDirectory
                             : FileKind::kOther};
}

bool MayWrite(const std::string& path) {
  constexpr int kWrite = 2;
  return _waccess(Wide(path).c_str(), kWrite) == 0;
}

std::string ResolveLinks(const std::string& path) { return path; }

bool Rename(const std::string& from, const std::string& to) {
  if (MoveFileExW(Wide(from).c_str(), Wide(to).c_str(), MOVEFILE_REPLACE_EXISTING)) return true;
  const DWORD error = GetLastError();
  const bool absent = error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND;
  errno = absent ? ENOENT : EACCES;
  return false;
}

void Remove(const std::string& path) { _wunlink(Wide(path).c_str()); }

void FlushDirectory(const std::string&) {}

// ---- Processes and threads

int64_t ProcessId() { return _getpid(); }

bool StartThread(void* (*main)(void*), void* argument) {
  try {
    std::thread(main, argument).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

void AtFork(void (*)(), void (*)(), void (*)()) {}

}  // namespace ninc::platform

#endif
