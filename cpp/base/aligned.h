// Memory for vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/platform.h"

namespace ninc {

// `size` bytes that start on a cache line, not initialised. An allocation that fails gives an empty
// buffer, which the caller reports with the name of what it was for.
class AlignedBuffer {
 public:
  static constexpr size_t kAlignment = 64;  // a cache line, and an AVX-512 vector
  static constexpr size_t kHugePage = 2 << 20;

  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t size) {
    if (size == 0 || size > SIZE_MAX - kHugePage) return;
    // Large arenas on huge pages: a tile's rows lie kilobytes apart, and walking page tables for
    // them costs 5 % of a 1×1 layer.
    const size_t alignment = size >= 2 * kHugePage ? kHugePage : kAlignment;
    const size_t rounded = (size + alignment - 1) / alignment * alignment;
    memory_.reset(platform::AllocateAligned(alignment, rounded));
    if (!memory_) return;
    size_ = size;
    if (alignment == kHugePage) platform::PreferHugePages(data(), rounded);
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : memory_(std::move(other.memory_)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    memory_ = std::move(other.memory_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  // Hands the memory over to the caller, who frees it with FreeReleased.
  std::byte* Release() {
    size_ = 0;
    return memory_.release();
  }
  static void FreeReleased(std::byte* memory, size_t) { platform::FreeAligned(memory); }

  size_t size() const { return size_; }  // bytes
  bool empty() const { return size_ == 0; }
  std::byte* data() const { return memory_.get(); }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(memory_.get());
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { platform::FreeAligned(memory); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  size_t size_ = 0;
};

}  // namespace ninc
