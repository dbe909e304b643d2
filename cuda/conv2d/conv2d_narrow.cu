// Gradients of 1×1 layers with few output channels. A thread has an input channel and goes through
// a chunk of pixels: their dy lies in shared memory, where all threads of a warp read the same
// word, and x, dx and the mask are read and written once, channels side by side.
#include "cuda/conv2d/conv2d_narrow.h"

#include "cuda/common/vector.cuh"

namespace ninc::cuda {
namespace {

// Pixels whose values are read before the first is waited for.
constexpr int kAhead = 4;

// Copies dy of the pixels from `first` on to shared memory, as it lies; how many pixels those are.
__device__ __forceinline__ int CopyGradients(const float* dy, int first, int end, int outputs,
                                             float* to) {
  const int pixels = min(kNarrowPixels, end - first);
  __syncthreads();  // all are done with the pixels before
  const float* from = dy + static_cast<int64_t>(first) * outputs;
  for (int i = threadIdx.x; i < pixels * outputs; i += blockDim.x) to[i] = from[i];
  __syncthreads();
  return pixels;
}

}  // namespace

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_conv2d_narrow_data(const __grid_constant__ NarrowDataArgs args) {
  __shared__ float dy[kNarrowPixels * kNarrowOutputs];
  const int c = blockIdx.x * blockDim.x + threadIdx.x;
  const int begin = blockIdx.y * args.chunk, end = begin + min(args.chunk, args.rows - begin);
  float weight[kNarrowOutputs];
#pragma unroll
  for (int k = 0; k < kNarrowOutputs; ++k) {
    const bool there = k < args.outputs && c < args.channels;
    weight[k] = there ? args.packed[k * args.channels + c] : 0.0f;
  }
  for (int first = begin; first < end; first += kNarrowPixels) {
    const int pixels = CopyGradients(args.dy, first, end, args.outputs, dy);
    if (c >= args.channels) continue;
    const int64_t at = static_cast<int64_t>(first) * args.channels + c;
    for (int begun = 0; begun < pixels; begun += kAhead) {
      float mask[kAhead];
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        if (args.mask != nullptr && begun + i < pixels) {
          mask[i] = args.mask[at + static_cast<int64_t>(begun + i) * args.channels];
        }
      }
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        if (begun + i >= pixels) break;
        const float* gradient = dy + (begun + i) * args.outputs;
        float sum = 0.0f;
#pragma unroll
        for (int k = 0; k < kNarrowOutputs; ++k) {
          if (k < args.outputs) sum = fmaf(gradient[k], weight[k], sum);
        }
        if (args.mask != nullptr) sum = Masked(args.limits, sum, mask[i]);
        args.dx[at + static_cast<int64_t>(begun + i) * args.channels] = sum;
      }
    }
  }
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_conv2d_narrow_weights(const __grid_constant__ NarrowWeightsArgs args) {
  __shared__ float dy[kNarrowPixels * kNarrowOutputs];
  __shared__ float sums[256 * kNarrowOutputs];
  const int first_channel = blockIdx.x * blockDim.x;
  const int c = first_channel + threadIdx.x;
  const int begin = blockIdx.y * args.chunk, end = begin + min(args.chunk, args.rows - begin);
  const bool sums_dy = args.bias && blockIdx.x == 0 && static_cast<int>(threadIdx.x) < args.outputs;
  float sum[kNarrowOutputs] = {};
  float dy_sum = 0.0f;
  for (int first = begin; first < end; first += kNarrowPixels) {
    const int pixels = CopyGradients(args.dy, first, end, args.outputs, dy);
    if (sums_dy) {
      float run = 0.0f;
      for (int pixel = 0; pixel < pixels; ++pixel) run += dy[pixel * args.outputs + threadIdx.x];
      dy_sum += run;
    }
    if (c >= args.channels) continue;
    // Runs of kNarrowPixels are summed by themselves, so that rounding grows with neither.
    float run[kNarrowOutputs] = {};
    const float* x = args.x + static_cast<int64_t>(first) * args.channels + c;
    for (int begun = 0; begun < pixels; begun += kAhead) {
      float value[kAhead];
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        if (begun + i < pixels) value[i] = x[static_cast<int64_t>(begun + i) * args.channels];
      }
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        if (begun + i >= pixels) break;
        const float* gradient = dy + (begun + i) * args.outputs;
#pragma unroll
        for (int k = 0; k < kNarrowOutputs; ++k) {
          if (k < args.outputs) run[k] = fmaf(value[i], gradient[k], run[k]);
        }
      }
    }
#pragma unroll
    for (int k = 0; k < kNarrowOutputs; ++k) sum[k] += run[k];
  }

  // Through shared memory, to be written side by side.
#pragma unroll
  for (int k = 0; k < kNarrowOutputs; ++k) {
    if (k < args.outputs) sums[threadIdx.x * args.outputs + k] = sum[k];
  }
  __syncthreads();
  float* partial =
      args.partial + static_cast<int64_t>(blockIdx.y) * (args.channels + 1) * args.outputs;
  const int channels = min(static_cast<int>(blockDim.x), args.channels - first_channel);
  for (int i = threadIdx.x; i < channels * args.outputs; i += blockDim.x) {
    partial[first_channel * args.outputs + i] = sums[i];
  }
  if (sums_dy) partial[args.channels * args.outputs + threadIdx.x] = dy_sum;
}

}  // namespace ninc::cuda
