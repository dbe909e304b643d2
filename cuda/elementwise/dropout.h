// What the kernel of dropout.cu is given.
#pragma once

#include <cstdint>

namespace ninc::cuda {

// y(i) = word(i) < threshold ? 0 : x(i) * scale for i < count, words as in cpp/base/philox.h.
struct DropoutArgs {
  const uint64_t* key;  // seed and step, in device memory: a recorded step reads new ones each time
  const float* x;
  float* y;
  int64_t count;
  uint32_t layer;
  uint32_t threshold;
  float scale;
  uint32_t vectors;
};

}  // namespace ninc::cuda
