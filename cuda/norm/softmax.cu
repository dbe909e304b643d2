// A row is little work beside a convolution: sums in double cost nothing and make loss and
// gradients good to the last digit of a float.
#include "cuda/norm/softmax.h"

#include "cuda/common/reduce.cuh"

namespace ninc::cuda {
namespace {

struct Maximum {
  float value;
  int64_t channel;
};

// Whether b comes before a: larger, NaN counting as largest, or as large and further left.
__device__ __forceinline__ bool Precedes(const Maximum& b, const Maximum& a) {
  const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
  if (a_nan || b_nan) return b_nan && (!a_nan || b.channel < a.channel);
  return b.value > a.value || (b.value == a.value && b.channel < a.channel);
}

// The first maximum of a row. Lanes beyond the row's end repeat its last value.
__device__ __forceinline__ Maximum FirstMaximum(const float* x, int64_t channels, int lane) {
  const int64_t start = lane < channels ? lane : channels - 1;
  Maximum best = {x[start], start};
  for (int64_t c = start + 32; c < channels; c += 32) {
    const Maximum next = {x[c], c};
    if (Precedes(next, best)) best = next;
  }
  for (int apart = 16; apart > 0; apart /= 2) {
    const Maximum other = {__shfl_xor_sync(kAllLanes, best.value, apart),
                           __shfl_xor_sync(kAllLanes, best.channel, apart)};
    if (Precedes(other, best)) best = other;
  }
  return best;
}

// sum_c exp(x(c) - max)
__device__ __forceinline__ double SumOfExp(const float* x, int64_t channels, float max, int lane) {
  double sum = 0.0;
  for (int64_t c = lane; c < channels; c += 32) sum += static_cast<double>(expf(x[c] - max));
  return WarpSum(sum);
}

// What each class counts in the loss, and the sum over rows is divided by.
struct Weighting {
  const float* weights;
  double mean, total;
  __device__ __forceinline__ explicit Weighting(const SoftmaxCrossEntropyArgs& args)
      : weights(args.weights),
        mean(weights == nullptr ? 1.0 : args.state->mean_class_weight),
        total(args.state->total_weight) {}
  __device__ __forceinline__ double of(int64_t c) const {
    return weights == nullptr ? 1.0 : static_cast<double>(weights[c]);
  }
};

// Calls body(row, lane) for the rows of this warp.
template <class Body>
__device__ __forceinline__ void ForEachRow(int64_t rows, Body body) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kSoftmaxRowsPerBlock;
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * kSoftmaxRowsPerBlock + threadIdx.x / 32;
       row < rows; row += stride) {
    body(row, lane);
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_softmax_forward(const SoftmaxForwardArgs args) {
  ForEachRow(args.rows, [&](int64_t row, int lane) {
    const float* x = args.x + row * args.channels;
    float* y = args.y + row * args.channels;
    const float max = FirstMaximum(x, args.channels, lane).value;
    const double scale = 1.0 / SumOfExp(x, args.channels, max, lane);
    for (int64_t c = lane; c < args.channels; c += 32) {
      y[c] = static_cast<float>(static_cast<double>(expf(x[c] - max)) * scale);
    }
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_softmax_backward(const SoftmaxBackwardArgs args) {
  ForEachRow(args.rows, [&](int64_t row, int lane) {
    const float* dy = args.dy + row * args.channels;
    const float* y = args.y + row * args.channels;
    float* dx = args.dx + row * args.channels;
    double dot = 0.0;
    for (int64_t c = lane; c < args.channels; c += 32) {
      dot += static_cast<double>(dy[c]) * static_cast<double>(y[c]);
    }
    dot = WarpSum(dot);
    for (int64_t c = lane; c < args.channels; c += 32) {
      dx[c] = static_cast<float>(static_cast<double>(y[c]) * (static_cast<double>(dy[c]) - dot));
    }
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_softmax_cross_entropy(const SoftmaxCrossEntropyArgs args) {
  ForEachRow(args.rows, [&](int64_t row, int lane) {
    const int64_t channels = args.channels;
    const float* x = args.logits + row * channels;
    const int64_t label = args.labels[row];
    const double smoothing = static_cast<double>(args.smoothing);
    const Maximum first = FirstMaximum(x, channels, lane);
    const float max = first.value;
    const double sum = SumOfExp(x, channels, max, lane);

    const Weighting weighting(args);

    // -sum_c t(c) * log softmax(x)(c), where log softmax(x)(c) = x(c) - max - log sum
    const double log_sum = log(sum);
    double loss =
        (1.0 - smoothing) * weighting.of(label) * (log_sum - (static_cast<double>(x[label]) - max));
    if (args.smoothing > 0.0f) {  // else an infinite logit elsewhere would make the loss NaN
      double total = 0.0;
      for (int64_t c = lane; c < channels; c += 32) {
        total += weighting.of(c) * (static_cast<double>(x[c]) - max);
      }
      loss +=
          smoothing * (weighting.mean * log_sum - WarpSum(total) / static_cast<double>(channels));
    }
    if (lane == 0) args.row_losses[row] = {loss, first.channel == label};
    if (args.dlogits == nullptr) return;

    __syncwarp();  // dlogits may be logits, and another lane's is read above
    float* dx = args.dlogits + row * channels;
    const double inverse_total = 1.0 / weighting.total;
    const double everywhere = smoothing / static_cast<double>(channels);
    const double all = args.weights == nullptr  // of the row's targets
                           ? 1.0
                           : (1.0 - smoothing) * weighting.of(label) + smoothing * weighting.mean;
    const double scale = 1.0 / sum;
    for (int64_t c = lane; c < channels; c += 32) {
      const double target = weighting.of(c) * (everywhere + (c == label ? 1.0 - smoothing : 0.0));
      const double y = static_cast<double>(expf(x[c] - max)) * scale;
      dx[c] = static_cast<float>((y * all - target) * inverse_total);
    }
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_softmax_cross_entropy_mean(const SoftmaxCrossEntropyMeanArgs args) {
  __shared__ double losses[8];
  __shared__ int64_t counts[8];
  double loss = 0.0;
  int64_t correct = 0;
  for (int64_t row = threadIdx.x; row < args.rows; row += 256) {
    loss += args.row_losses[row].loss;
    correct += args.row_losses[row].correct;
  }
  loss = BlockSum<256>(loss, losses);
  correct = BlockSum<256>(correct, counts);
  if (threadIdx.x != 0) return;
  *args.loss = static_cast<float>(loss / *args.total_weight);
  *args.correct = correct;
}

}  // namespace ninc::cuda
