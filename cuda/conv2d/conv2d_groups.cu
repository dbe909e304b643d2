// Convolution with groups, depthwise convolution among them: a thread for each output, neighbouring
// threads on neighbouring channels. An output sums over few channels, too few for tensor cores;
// what counts is that every read is of whole sectors, and for depthwise layers all are.
#include "cuda/conv2d/conv2d_groups.h"

#include "cuda/common/vector.cuh"
#include "cuda/conv2d/conv2d_gather.cuh"

namespace ninc::cuda {

extern "C" __global__ void __launch_bounds__(256)
    ninc_conv2d_groups(const __grid_constant__ GroupsArgs args) {
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (thread >= args.count) return;
  const int index = static_cast<int>(thread);
  const int m = Divide(args.columns, index);
  const int columns = static_cast<int>(args.columns.divisor);
  const int n = index - m * columns;
  const Origin origin = FindOrigin(args.gather, m);
  Tap tap(args.gather, 0);
  tap.c = Divide(args.group, n) * args.group_channels;
  const float* packed = args.packed + n;
  float sum = 0.0f;
  for (tap.r = 0; tap.r < args.gather.h.kernel; ++tap.r) {
    for (tap.s = 0; tap.s < args.gather.w.kernel; ++tap.s) {
      int offset;
      if (FindPixel(args.gather, origin, tap, &offset)) {
        const float* from = args.gather.picture + offset;
        for (int c = 0; c < args.group_channels; ++c) {
          sum = fmaf(from[c], packed[c * columns], sum);
        }
      }
      packed += args.group_channels * columns;
    }
  }
  if (args.mask != nullptr) {
    args.y[index] = Masked(args.limits, sum, args.mask[index]);
  } else {
    args.y[index] = Activated(args.limits, sum + (args.bias != nullptr ? args.bias[n] : 0.0f));
  }
}

// A chunk's sums are of runs of 16 pixels' sums, so that rounding errors grow with neither.
extern "C" __global__ void __launch_bounds__(256)
    ninc_conv2d_groups_weights(const __grid_constant__ GroupsWeightsArgs args) {
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (thread >= args.count) return;
  const int index = static_cast<int>(thread);
  const int e = Divide(args.columns, index);
  const int columns = static_cast<int>(args.columns.divisor);
  const int k = index - e * columns;
  const bool sums_dy = e == args.reduction;
  Tap position(args.gather, 0);
  const int tap = e / args.group_channels;
  position.c = Divide(args.group, k) * args.group_channels + e - tap * args.group_channels;
  position.r = tap / args.gather.w.kernel;
  position.s = tap - position.r * args.gather.w.kernel;

  const int begin = blockIdx.y * args.chunk;
  const int end = begin + min(args.chunk, args.gather.rows - begin);
  float total = 0.0f;
  for (int first = begin; first < end; first += kDepth) {
    float sum = 0.0f;
    for (int m = first; m < min(first + kDepth, end); ++m) {
      const float dy = args.dy[static_cast<int64_t>(m) * columns + k];
      if (sums_dy) {
        sum += dy;
        continue;
      }
      int offset;
      if (FindPixel(args.gather, FindOrigin(args.gather, m), position, &offset)) {
        sum = fmaf(args.gather.picture[offset], dy, sum);
      }
    }
    total += sum;
  }
  args.partial[static_cast<int64_t>(blockIdx.y) * args.count + index] = total;
}

}  // namespace ninc::cuda
