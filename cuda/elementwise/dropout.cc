#include "cuda/elementwise/dropout.h"

#include <algorithm>
#include <cstddef>

#include "base/philox.h"
#include "cuda/common/launch.h"
#include "cuda/compile.h"

namespace ninc::cuda {

// The kernel reads a key as three words.
static_assert(offsetof(DropoutKey, seed) == 0 && offsetof(DropoutKey, step) == sizeof(uint64_t) &&
              offsetof(DropoutKey, first) == 2 * sizeof(uint64_t));

Compiled Compile(const step::Dropout& step, const CompileContext& context) {
  const Shape& shape = context.shape(step.x);
  return Kernel{[step, count = shape.size(),
                 each = shape.size() / std::max<int64_t>(shape.n, 1)](const Run& run) {
    const float* x = run.In(step.x);
    float* y = run.Out(step.y);
    const float p = run.arguments().dropout ? step.p : 0.0f;
    const uint64_t threshold = DropThreshold(p);
    if (threshold >> 32 != 0) {  // p = 1 drops all, and 1 / (1 - p) is infinite
      return On(run).Zero(y, static_cast<size_t>(count) * sizeof(float));
    }
    const DropoutArgs args{&run.arguments().state->key.seed,
                           x,
                           y,
                           count,
                           each,
                           step.layer,
                           static_cast<uint32_t>(threshold),
                           1.0f / (1.0f - p),
                           VectorsFit(x, y)};
    return On(run).Launch({"dropout", "ninc_dropout"}, ElementGrid(count), args);
  }};
}

}  // namespace ninc::cuda
