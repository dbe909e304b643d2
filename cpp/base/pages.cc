#include "base/pages.h"

#include <sys/mman.h>

#include <cstdint>

#include "base/aligned.h"

namespace ninc {
namespace {

constexpr size_t kHugePage = AlignedBuffer::kHugePage;

// What a mapping's beginning and size are multiples of; the system rounds to its own pages itself.
constexpr size_t PageFor(size_t size) { return size >= 2 * kHugePage ? kHugePage : 1; }

constexpr size_t RoundUp(size_t size, size_t page) { return (size + page - 1) / page * page; }

}  // namespace

std::byte* MapPages(size_t size) {
  if (size == 0 || size > SIZE_MAX - 2 * kHugePage) return nullptr;
  const size_t page = PageFor(size);
  const size_t used = RoundUp(size, page);
  const size_t spare = page == kHugePage ? kHugePage : 0;  // so that a huge page begins in it
  void* const mapped =
      mmap(nullptr, used + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* memory = static_cast<std::byte*>(mapped);
  if (spare == 0) return memory;
  const size_t before = -reinterpret_cast<uintptr_t>(memory) % kHugePage;
  if (before > 0) munmap(memory, before);
  memory += before;
  munmap(memory + used, spare - before);
#if defined(__linux__)
  madvise(memory, used, MADV_HUGEPAGE);  // a hint: may be refused
#endif
  return memory;
}

void UnmapPages(std::byte* memory, size_t size) { munmap(memory, RoundUp(size, PageFor(size))); }

}  // namespace ninc
