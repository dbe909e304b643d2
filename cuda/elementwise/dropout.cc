#include "cuda/elementwise/dropout.h"

#include <cstddef>

#include "base/philox.h"
#include "cuda/common/launch.h"
#include "cuda/common/operations.h"

namespace ninc::cuda {

// The kernel reads a key as two words.
static_assert(offsetof(DropoutKey, seed) == 0 && offsetof(DropoutKey, step) == sizeof(uint64_t));

Status Dropout(Stream& stream, int64_t count, float p, uint32_t layer, const DropoutKey* key,
               const float* x, float* y) {
  const uint64_t threshold = cpu::DropThreshold(p);
  if (threshold >> 32 != 0) {  // p = 1 drops all, and 1 / (1 - p) is infinite
    return stream.Zero(y, static_cast<size_t>(count) * sizeof(float));
  }
  const DropoutArgs args{
      &key->seed,      x, y, count, layer, static_cast<uint32_t>(threshold), 1.0f / (1.0f - p),
      VectorsFit(x, y)};
  return stream.Launch({"dropout", "ninc_dropout"}, ElementGrid(count), args);
}

}  // namespace ninc::cuda
