// Sums over the shards of a batch. One pass over each array, which memory limits.
#include "cpu/compile_context.h"
#include "cpu/schedule/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/update/shards.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

// y(i) = scale * x(i), or y(i) += scale * x(i). Product and sum are rounded separately, because
// another worker adds products that were rounded before they came to it.
void SetOrAdd(int64_t count, bool set, float scale, const float* x, float* y, int threads) {
  ParallelBlocks(threads, count, kElementBlock, [&](int64_t begin, int64_t end) HWY_ATTR {
    const V factor = hn::Set(D(), scale);  // one: exact
    ForEachSlice<1>(end - begin, [&](int64_t offset, auto slice) HWY_ATTR {
      const int64_t i = begin + offset;
      const V part = hn::Mul(factor, slice.Load(x + i));
      slice.Store(set ? part : hn::Add(slice.Load(y + i), part), y + i);
    });
  });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

Compiled Compile(const step::AddToShardSum& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, SetOrAdd);
  return Kernel{[step, kernel, count = context.shape(step.x).size()](const Run& run) {
    const RunArguments& now = run.arguments();
    kernel(count, now.first_shard, step.statistic ? now.shard_share : 1.0f, run.In(step.x),
           now.shard_sum + step.offset, run.threads());
  }};
}

Compiled Compile(const step::AddResultToShardSum& step, const CompileContext&) {
  return Kernel{[step](const Run& run) {
    const RunArguments& now = run.arguments();
    float* const sum = now.shard_sum + step.offset;
    const auto correct = static_cast<float>(now.state->correct);
    sum[0] = now.first_shard ? now.state->loss : sum[0] + now.state->loss;
    sum[1] = now.first_shard ? correct : sum[1] + correct;
  }};
}

Compiled Compile(const step::AddShardSums& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, SetOrAdd);
  return Kernel{[step, kernel](const Run& run) {
    kernel(static_cast<int64_t>(step.count), false, 1.0f, run.arguments().other_shard_sum,
           run.arguments().shard_sum, run.threads());
  }};
}

Compiled Compile(const step::TakeFromShardSum& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, SetOrAdd);
  return Kernel{[step, kernel, count = context.shape(step.y).size()](const Run& run) {
    kernel(count, true, 1.0f, run.arguments().shard_sum + step.offset, run.Out(step.y),
           run.threads());
  }};
}

Compiled Compile(const step::TakeResultFromShardSum& step, const CompileContext&) {
  return Kernel{[step](const Run& run) {
    StepState* const state = run.arguments().state;
    const float* const sum = run.arguments().shard_sum + step.offset;
    state->loss = sum[0];
    state->correct = static_cast<int64_t>(sum[1]);
  }};
}

}  // namespace ninc::cpu
#endif
