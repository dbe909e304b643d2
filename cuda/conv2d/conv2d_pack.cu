// Weights into the layouts of PackArgs: they are copied once for many products, so that no product
// needs to look at a border.
#include "cuda/conv2d/conv2d.h"

namespace ninc::cuda {

extern "C" __global__ void __launch_bounds__(256)
    ninc_conv2d_pack(const __grid_constant__ PackArgs args) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= args.count) return;
  const int index = static_cast<int>(i);
  int e, n;
  if (args.staged) {
    const int row = index / kDepth;  // stage * packed_columns + n, but for the order within 16
    const int stage = row / args.packed_columns;
    const int lane = index / 4 % 32, product = index / 128 % 2, q = index % 4;
    n = (row - stage * args.packed_columns) / 16 * 16 + lane / 4 * 2 + q % 2;
    e = stage * kDepth + lane % 4 * 4 + product * 2 + q / 2;
  } else {
    e = index / args.packed_columns;
    n = index - e * args.packed_columns;
  }
  float value = 0.0f;
  if (n < args.columns && e < args.reduction) {
    const int tap = e / args.channels, c = e - tap * args.channels;
    int out = n, in = c;
    if (args.transposed) {
      const int group = n / args.group_columns;
      out = group * args.channels + c;
      in = n - group * args.group_columns;
    }
    value = args.weight[(static_cast<int64_t>(out) * args.inputs + in) * args.taps + tap];
    if (args.scale != nullptr) value *= args.scale[out];
  }
  args.packed[index] = value;
}

}  // namespace ninc::cuda
