#include "cuda/elementwise/prelu.h"

#include "cuda/common/launch.h"
#include "cuda/compile.h"

namespace ninc::cuda {

Compiled Compile(const step::PRelu& step, const CompileContext& context) {
  const int64_t count = context.shape(step.x).size(), channels = context.shape(step.slope).c;
  return Kernel{[=](const Run& run) {
    return On(run).Launch(
        {"prelu", "ninc_prelu"}, ElementGrid(count),
        PReluArgs{run.In(step.x), run.In(step.slope), run.Out(step.y), count, channels});
  }};
}

Compiled Compile(const step::PReluBackward& step, const CompileContext& context) {
  const int64_t count = context.shape(step.x).size(), channels = context.shape(step.slope).c;
  return Kernel{[=](const Run& run) {
    return On(run).Launch(
        {"prelu", "ninc_prelu_backward"}, ElementGrid(count),
        PReluBackwardArgs{run.In(step.dy), run.In(step.x), run.In(step.slope), run.Out(step.dx),
                          run.Out(step.terms), count, channels});
  }};
}

}  // namespace ninc::cuda
