// The launches of Adam and AdamW.
#include "cuda/update/adam.h"

#include <algorithm>

#include "cuda/common/launch.h"
#include "cuda/compile.h"

namespace ninc::cuda {

Compiled Compile(const step::CountUpdates& step, const CompileContext&) {
  return Kernel{[step](const Run& run) -> Status {
    CountUpdatesArgs args{.state = run.arguments().state, .counts = {}, .size = 0};
    for (const ValueId count : step.counts) {
      args.counts[args.size++] = run.Out(count);
      if (args.size < kMostCounts && count != step.counts.back()) continue;
      NINC_RETURN_IF_ERROR(
          On(run).Launch({"adam", "ninc_count_updates"}, Grid{.threads = kMostCounts}, args));
      args.size = 0;
    }
    return {};
  }};
}

Compiled Compile(const step::AdamUpdate& step, const CompileContext& context) {
  return Kernel{[step, count = context.shape(step.weight).size()](const Run& run) {
    const float* gradient = run.In(step.gradient);
    float *first = run.Out(step.first), *second = run.Out(step.second);
    float* weight = run.Out(step.weight);
    const AdamUpdateArgs args{run.arguments().state,
                              run.arguments().updates + step.parameter,
                              gradient,
                              run.In(step.steps),
                              first,
                              second,
                              weight,
                              count,
                              VectorsFit(gradient, first, second, weight)};
    return On(run).Launch({"adam", "ninc_adam_update"}, ElementGrid(count), args);
  }};
}

}  // namespace ninc::cuda
