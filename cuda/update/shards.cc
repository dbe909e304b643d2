// The launches that add up the shards of a batch.
#include "cuda/update/shards.h"

#include "cuda/common/launch.h"
#include "cuda/compile.h"

namespace ninc::cuda {
namespace {

Status SetOrAdd(const Run& run, int64_t count, bool set, float scale, const float* x, float* y) {
  return On(run).Launch({"shards", "ninc_set_or_add"}, ElementGrid(count),
                        SetOrAddArgs{x, y, count, scale, set, VectorsFit(x, y)});
}

}  // namespace

Compiled Compile(const step::AddToShardSum& step, const CompileContext& context) {
  return Kernel{[step, count = context.shape(step.x).size()](const Run& run) {
    const RunArguments& now = run.arguments();
    return SetOrAdd(run, count, now.first_shard, step.statistic ? now.shard_share : 1.0f,
                    run.In(step.x), now.shard_sum + step.offset);
  }};
}

Compiled Compile(const step::AddResultToShardSum& step, const CompileContext&) {
  return Kernel{[step](const Run& run) {
    const RunArguments& now = run.arguments();
    return On(run).Launch({"shards", "ninc_add_result"}, Grid{.threads = 32},
                          AddResultArgs{now.state, now.shard_sum + step.offset, now.first_shard});
  }};
}

Compiled Compile(const step::AddShardSums& step, const CompileContext&) {
  return Kernel{[step](const Run& run) {
    return SetOrAdd(run, static_cast<int64_t>(step.count), false, 1.0f,
                    run.arguments().other_shard_sum, run.arguments().shard_sum);
  }};
}

Compiled Compile(const step::TakeFromShardSum& step, const CompileContext& context) {
  return Kernel{[step, count = context.shape(step.y).size()](const Run& run) {
    return SetOrAdd(run, count, true, 1.0f, run.arguments().shard_sum + step.offset,
                    run.Out(step.y));
  }};
}

Compiled Compile(const step::TakeResultFromShardSum& step, const CompileContext&) {
  return Kernel{[step](const Run& run) {
    return On(run).Launch(
        {"shards", "ninc_take_result"}, Grid{.threads = 32},
        TakeResultArgs{run.arguments().shard_sum + step.offset, run.arguments().state});
  }};
}

}  // namespace ninc::cuda
