// What the kernel of dropout.cu is given.
#pragma once

#include <cstdint>

namespace ninc::cuda {

// y(i) = word(first + i) < threshold ? 0 : x(i) * scale for i < count, words as in
// cpp/base/philox.h; first = the key's first example * each.
struct DropoutArgs {
  const uint64_t* key;  // a DropoutKey in device memory: a recorded step reads a new one each time
  const float* x;
  float* y;
  int64_t count, each;
  uint32_t layer;
  uint32_t threshold;
  float scale;
  uint32_t vectors;
};

}  // namespace ninc::cuda
