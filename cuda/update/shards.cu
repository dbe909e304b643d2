// Sums over the shards of a batch.
#include "cuda/update/shards.h"

#include "cuda/common/vector.cuh"

namespace ninc::cuda {

extern "C" __global__ void __launch_bounds__(256, 4) ninc_set_or_add(const SetOrAddArgs args) {
  ForEach(args.count, args.vectors, [&](auto width, int64_t i) {
    constexpr int kWidth = decltype(width)::value;
    Pack<kWidth> part = Load<kWidth>(args.x + i);
    for (int v = 0; v < kWidth; ++v) part.v[v] *= args.scale;
    if (args.set == 0) {
      const Pack<kWidth> sum = Load<kWidth>(args.y + i);
      for (int v = 0; v < kWidth; ++v) part.v[v] += sum.v[v];
    }
    Store(part, args.y + i);
  });
}

// One thread.
extern "C" __global__ void __launch_bounds__(32) ninc_add_result(const AddResultArgs args) {
  if (threadIdx.x != 0) return;
  const float loss = args.state->loss, correct = static_cast<float>(args.state->correct);
  args.sum[0] = args.set != 0 ? loss : args.sum[0] + loss;
  args.sum[1] = args.set != 0 ? correct : args.sum[1] + correct;
}

// One thread.
extern "C" __global__ void __launch_bounds__(32) ninc_take_result(const TakeResultArgs args) {
  if (threadIdx.x != 0) return;
  args.state->loss = args.sum[0];
  args.state->correct = static_cast<int64_t>(args.sum[1]);
}

}  // namespace ninc::cuda
