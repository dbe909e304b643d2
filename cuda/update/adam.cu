// Adam (Kingma, Ba 2015) and AdamW (Loshchilov, Hutter 2019) as PyTorch has them.
#include "cuda/update/adam.h"

#include "cuda/common/vector.cuh"
#include "ninc/optimizer.h"

namespace ninc::cuda {

// One warp. The choice goes over constants, since an index into arguments would copy them first.
extern "C" __global__ void __launch_bounds__(kMostCounts)
    ninc_count_updates(const CountUpdatesArgs args) {
  if (args.state->updated == 0 || static_cast<int>(threadIdx.x) >= args.size) return;
  float* count = nullptr;
#pragma unroll
  for (int i = 0; i < kMostCounts; ++i) {
    if (static_cast<int>(threadIdx.x) == i) count = args.counts[i];
  }
  *count += 1.0f;
}

// 1 - beta^steps = -expm1(steps * log1p(-rest)), rest = 1 - beta: good to a few units of the last
// place in float, while beta itself would lose five digits of 1 - beta for one near 1.
__device__ __forceinline__ float Correction(float rest, float steps) {
  return -expm1f(steps * log1pf(-rest));
}

extern "C" __global__ void __launch_bounds__(256, 4) ninc_adam_update(const AdamUpdateArgs args) {
  if (args.state->updated == 0) return;
  const auto& rule = *reinterpret_cast<const rule::Adam*>(args.state->rule);
  const float scale = args.state->gradient_scale, steps = *args.steps;
  const float lr = args.update->lr, decay = args.update->weight_decay;
  const bool decoupled = rule.decoupled_decay;
  const float l2 = decoupled ? 0.0f : decay, keep = decoupled ? fmaf(-lr, decay, 1.0f) : 1.0f;
  const float beta2 = static_cast<float>(rule.beta2), eps = static_cast<float>(rule.eps);
  const float first_rest = static_cast<float>(1.0 - rule.beta1);
  const float second_rest = static_cast<float>(1.0 - rule.beta2);
  const float rate = lr / Correction(first_rest, steps);
  const float inverse_root = 1.0f / sqrtf(Correction(second_rest, steps));
  ForEach(args.count, args.vectors, [&](auto width, int64_t i) {
    constexpr int kWidth = decltype(width)::value;
    const Pack<kWidth> gradient = Load<kWidth>(args.gradient + i);
    Pack<kWidth> w = Load<kWidth>(args.weight + i);
    Pack<kWidth> first = Load<kWidth>(args.first + i), second = Load<kWidth>(args.second + i);
    for (int e = 0; e < kWidth; ++e) {
      const float g = fmaf(l2, w.v[e], scale * gradient.v[e]);
      const float m = fmaf(first_rest, g - first.v[e], first.v[e]);
      const float v = fmaf(second_rest * g, g, beta2 * second.v[e]);
      first.v[e] = m;
      second.v[e] = v;
      w.v[e] = fmaf(-rate, m / fmaf(sqrtf(v), inverse_root, eps), keep * w.v[e]);
    }
    Store(first, args.first + i);
    Store(second, args.second + i);
    Store(w, args.weight + i);
  });
}

}  // namespace ninc::cuda
