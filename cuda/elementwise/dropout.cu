#include "cuda/elementwise/dropout.h"

#include "cuda/common/vector.cuh"
#include "cuda/elementwise/philox.cuh"

namespace ninc::cuda {

extern "C" __global__ void __launch_bounds__(256, 4) ninc_dropout(const DropoutArgs args) {
  // One thread draws the layer's key for its block of threads.
  __shared__ uint32_t layer_key[2];
  const uint64_t step = args.key[1];
  if (threadIdx.x == 0) {
    const uint64_t seed = args.key[0];
    const PhiloxWords words = Philox4x32({{args.layer, 0, 0, 0}}, static_cast<uint32_t>(seed),
                                         static_cast<uint32_t>(seed >> 32));
    layer_key[0] = words.w[0];
    layer_key[1] = words.w[1];
  }
  __syncthreads();
  const uint32_t k0 = layer_key[0], k1 = layer_key[1];

  // A thread takes the four positions of one block of words, whatever the alignment. The first
  // block may begin before the run's first position.
  const int64_t threads = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(args.key[2]) * args.each;
  const int64_t skipped = first % 4, blocks = (skipped + args.count + 3) / 4;
  for (int64_t b = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; b < blocks;
       b += threads) {
    const int64_t block = first / 4 + b;
    const PhiloxWords words =
        Philox4x32({{static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                     static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32)}},
                   k0, k1);
    const int64_t i = 4 * b - skipped;
    if (args.vectors && skipped == 0 && i + 4 <= args.count) {
      Pack<4> x = Load<4>(args.x + i);
      for (int v = 0; v < 4; ++v) {
        x.v[v] = words.w[v] < args.threshold ? 0.0f : x.v[v] * args.scale;
      }
      Store(x, args.y + i);
    } else {
      for (int v = 0; v < 4; ++v) {
        if (i + v < 0 || i + v >= args.count) continue;
        args.y[i + v] = words.w[v] < args.threshold ? 0.0f : args.x[i + v] * args.scale;
      }
    }
  }
}

}  // namespace ninc::cuda
