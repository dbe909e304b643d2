#include "base/pages.h"

#include <cstdint>

#include "base/aligned.h"
#include "base/platform.h"

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
  std::byte* const memory = platform::Map(page, used);
  if (memory != nullptr && page == kHugePage) platform::PreferHugePages(memory, used);
  return memory;
}

void UnmapPages(std::byte* memory, size_t size) {
  platform::Unmap(memory, RoundUp(size, PageFor(size)));
}

}  // namespace ninc
