// Large memory that stays has pages of its own, and they are the system's again when it is freed.
#include "base/pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <thread>

#include "base/aligned.h"
#include "ninc/backend.h"

namespace ninc {
namespace {

bool IsMapped(const std::byte* address) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  auto* const begin = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(address) / page * page);
  unsigned char resident = 0;
  return mincore(begin, page, &resident) == 0 || errno != ENOMEM;
}

TEST(PagesTest, HoldAllTheirBytesAndGoBack) {
  for (const size_t size : {size_t{1}, size_t{4095}, size_t{1} << 20, (size_t{4} << 20) - 1,
                            size_t{4} << 20, (size_t{9} << 20) + 1}) {
    std::byte* const memory = MapPages(size);
    ASSERT_NE(memory, nullptr) << size;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % AlignedBuffer::kAlignment, 0u) << size;
    EXPECT_TRUE(std::all_of(memory, memory + size, [](std::byte b) { return b == std::byte{}; }));
    std::fill(memory, memory + size, std::byte{7});
    UnmapPages(memory, size);
    EXPECT_FALSE(IsMapped(memory)) << size;
    EXPECT_FALSE(IsMapped(memory + size - 1)) << size;
  }
}

TEST(PagesTest, ImpossibleSizesGetNone) {
  EXPECT_EQ(MapPages(0), nullptr);
  EXPECT_EQ(MapPages(SIZE_MAX), nullptr);
  EXPECT_EQ(MapPages(SIZE_MAX / 2), nullptr);
}

// What another thread allocated must not stay with that thread's part of malloc.
TEST(PagesTest, TheProcessorsLargeMemoryGoesBackFromAnyThread) {
  DeviceMemory memory;
  std::thread([&] {
    auto allocated = CpuBackend().Allocate("weights", 3 << 20);
    ASSERT_TRUE(allocated.ok());
    memory = std::move(allocated.value());
  }).join();
  ASSERT_EQ(memory.size(), size_t{3} << 20);
  const std::byte* const address = memory.data();
  std::fill(memory.data(), memory.data() + memory.size(), std::byte{1});
  memory = DeviceMemory();
  EXPECT_FALSE(IsMapped(address));
}

}  // namespace
}  // namespace ninc
