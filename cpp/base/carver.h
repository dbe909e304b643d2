// Cuts scratch memory into arrays.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ninc {

// Each array begins on a cache line of its own where the memory does. Made without memory it
// measures: the arrays that it then gives must not be used, and only bytes() counts. So the code
// that carves memory is also what tells how much of it there has to be.
class Carver {
 public:
  Carver() = default;
  explicit Carver(void* memory) : memory_(reinterpret_cast<uintptr_t>(memory)) {}

  template <typename T = float>
  T* Take(auto count) {
    const uintptr_t taken = memory_ + bytes_;
    bytes_ += (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64;
    return reinterpret_cast<T*>(taken);
  }
  size_t bytes() const { return bytes_; }  // that were taken

 private:
  uintptr_t memory_ = 0;
  size_t bytes_ = 0;
};

// Bytes of a struct of arrays whose constructor takes them from a Carver, its last argument.
template <class Arrays, class... Arguments>
size_t BytesOf(const Arguments&... arguments) {
  Carver carver;
  Arrays(arguments..., carver);
  return carver.bytes();
}

}  // namespace ninc
