// Both directions are bound by memory: each reads its matrices twice, once for sums, once for the
// result. Variances are joined from groups of rows by the formula of Chan, Golub and LeVeque
// (1979), as on the CPU: E[x²] - E[x]² loses all digits where the mean is large against the
// deviation, and sums in double cost 64 times a float's on most devices.
#include "cuda/norm/batch_norm.h"

#include "cuda/common/rows.cuh"
#include "cuda/common/vector.cuh"

namespace ninc::cuda {
namespace {

// What a thread's columns have seen: how many rows, their means and sums of squared deviations, as
// the array that JoinLines takes.
template <int kWidth>
struct Moments {
  float values[2 * kWidth + 1] = {};
};

// n_b more rows with mean m_b and squared deviations s_b:
//     d = m_b - m_a;  m = m_a + d * n_b/n;  s = s_a + s_b + d² * n_a * n_b/n
template <int kWidth>
__device__ __forceinline__ void Join(float (&own)[2 * kWidth + 1],
                                     const float (&other)[2 * kWidth + 1]) {
  const float seen = own[2 * kWidth], more = other[2 * kWidth];
  if (more == 0.0f) return;
  if (seen == 0.0f) {  // not by the formula: 0 * d² is NaN where d² is infinite
    for (int i = 0; i <= 2 * kWidth; ++i) own[i] = other[i];
    return;
  }
  const float share = more / (seen + more), squares = seen * share;
  for (int v = 0; v < kWidth; ++v) {
    const float d = other[v] - own[v];
    own[v] = fmaf(d, share, own[v]);
    own[kWidth + v] += fmaf(d * d, squares, other[kWidth + v]);
  }
  own[2 * kWidth] = seen + more;
}

// Rows read before any is used: a thread keeps that many loads under way, and their deviations are
// taken from their own mean.
constexpr int kGroup = 4;

template <int kWidth>
__device__ __forceinline__ void JoinRows(const float* from, int64_t stride, int count,
                                         float (&own)[2 * kWidth + 1]) {
  Pack<kWidth> x[kGroup];
  for (int k = 0; k < kGroup; ++k) {
    if (k < count) x[k] = Load<kWidth>(from + k * stride);
  }
  float group[2 * kWidth + 1];
  const float inverse = 1.0f / static_cast<float>(count);
  for (int v = 0; v < kWidth; ++v) {
    float sum = 0.0f, squares = 0.0f;
    for (int k = 0; k < kGroup; ++k) sum += k < count ? x[k].v[v] : 0.0f;
    const float mean = sum * inverse;
    for (int k = 0; k < kGroup; ++k) {
      const float d = k < count ? x[k].v[v] - mean : 0.0f;
      squares = fmaf(d, d, squares);
    }
    group[v] = mean;
    group[kWidth + v] = squares;
  }
  group[2 * kWidth] = static_cast<float>(count);
  Join<kWidth>(own, group);
}

// Mean and squared deviations of all runs' rows, in the thread of a channel's first line.
template <class Args>
__device__ __forceinline__ void JoinRuns(const Walk<1>& walk, const Args& args, float* shared,
                                         float (&own)[3]) {
  for (int64_t run = walk.line; walk.inside && run < walk.end; run += walk.lines) {
    const float* from = args.partial + 2 * run * walk.channels + walk.channel;
    const int64_t left = args.rows - run * args.rows_in_run;
    const float rows = static_cast<float>(left < args.rows_in_run ? left : args.rows_in_run);
    Join<1>(own, {from[0], from[walk.channels], rows});
  }
  JoinLines(args.runs.lane_bits, own, shared, Join<1>);
}

template <int kWidth>
__device__ __forceinline__ Pack<kWidth> LoadColumns(const Walk<kWidth>& walk, const float* from) {
  if (walk.inside) return Load<kWidth>(from + walk.channel);
  return {};
}

}  // namespace

extern "C" __global__ void __launch_bounds__(256, 4) ninc_fold_norm(const FoldNormArgs args) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= args.channels) return;
  const double eps = static_cast<double>(args.eps);
  const double factor =
      static_cast<double>(args.weight[c]) / sqrt(static_cast<double>(args.var[c]) + eps);
  const double offset = args.offset == nullptr ? 0.0 : static_cast<double>(args.offset[c]);
  const double from_mean = offset - static_cast<double>(args.mean[c]);
  args.scale[c] = static_cast<float>(factor);
  args.shift[c] = static_cast<float>(fma(from_mean, factor, static_cast<double>(args.bias[c])));
}

extern "C" __global__ void __launch_bounds__(256, 4) ninc_scale_shift(const ScaleShiftArgs args) {
  WithWidth(args.rows.vectors, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const Walk<kWidth> walk(args.rows);
    const Pack<kWidth> scale = LoadColumns(walk, args.scale);
    Pack<kWidth> shift = {};
    if (args.shift != nullptr) shift = LoadColumns(walk, args.shift);
    walk.ForEachRow([&](int64_t i) {
      Pack<kWidth> x = Load<kWidth>(args.x + i);
      for (int v = 0; v < kWidth; ++v) {
        x.v[v] = Activated(args.limits, fmaf(x.v[v], scale.v[v], shift.v[v]));
      }
      Store(x, args.y + i);
    });
  });
}

extern "C" __global__ void __launch_bounds__(256, 3)
    ninc_batch_norm_statistics(const BatchNormStatisticsArgs args) {
  __shared__ float shared[9 * RowSplit::kThreads];
  WithWidth(args.rows.vectors, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const Walk<kWidth> walk(args.rows);
    Moments<kWidth> own;
    if (walk.inside) {
      const int64_t stride = walk.lines * walk.channels;
      int64_t row = walk.begin + walk.line;
      const float* from = args.x + row * walk.channels + walk.channel;
      for (; row + (kGroup - 1) * walk.lines < walk.end; row += kGroup * walk.lines) {
        JoinRows<kWidth>(from, stride, kGroup, own.values);
        from += kGroup * stride;
      }
      const int left = static_cast<int>((walk.end - row + walk.lines - 1) / walk.lines);
      if (row < walk.end) JoinRows<kWidth>(from, stride, left, own.values);
    }
    JoinLines(args.rows.lane_bits, own.values, shared, Join<kWidth>);
    if (walk.inside && walk.line == 0) {
      float* to = args.partial + 2 * blockIdx.y * walk.channels + walk.channel;
      for (int v = 0; v < kWidth; ++v) {
        to[v] = own.values[v];
        to[walk.channels + v] = own.values[kWidth + v];
      }
    }
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_batch_norm_finish(const BatchNormFinishArgs args) {
  __shared__ float shared[3 * RowSplit::kThreads];
  const Walk<1> walk(args.runs);
  Moments<1> own;
  JoinRuns(walk, args, shared, own.values);
  if (!walk.inside || walk.line != 0) return;

  const int64_t c = walk.channel;
  const float mean = own.values[0], squares = own.values[1];
  const float unbiased_rows = static_cast<float>(args.rows > 1 ? args.rows - 1 : 1);
  args.save_mean[c] = mean;
  args.save_inv_std[c] = 1.0f / sqrtf(squares / static_cast<float>(args.rows) + args.eps);
  const float running_mean = args.running_mean[c], running_var = args.running_var[c];
  args.running_mean[c] = fmaf(args.momentum, mean - running_mean, running_mean);
  args.running_var[c] = fmaf(args.momentum, squares / unbiased_rows - running_var, running_var);
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_batch_norm_moments(const BatchMomentsFinishArgs args) {
  __shared__ float shared[3 * RowSplit::kThreads];
  const Walk<1> walk(args.runs);
  Moments<1> own;
  JoinRuns(walk, args, shared, own.values);
  if (!walk.inside || walk.line != 0) return;
  args.mean[walk.channel] = own.values[0];
  args.squares[walk.channel] = own.values[1];
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_batch_norm_normalize(const BatchNormNormalizeArgs args) {
  WithWidth(args.rows.vectors, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const Walk<kWidth> walk(args.rows);
    const Pack<kWidth> mean = LoadColumns(walk, args.mean), bias = LoadColumns(walk, args.bias);
    const Pack<kWidth> weight = LoadColumns(walk, args.weight);
    Pack<kWidth> scale = LoadColumns(walk, args.inv_std);
    for (int v = 0; v < kWidth; ++v) scale.v[v] *= weight.v[v];
    walk.ForEachRow([&](int64_t i) {
      Pack<kWidth> x = Load<kWidth>(args.x + i);
      for (int v = 0; v < kWidth; ++v) {
        x.v[v] = Activated(args.limits, fmaf(x.v[v] - mean.v[v], scale.v[v], bias.v[v]));
      }
      Store(x, args.y + i);
    });
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_batch_norm_gradient_sums(const BatchNormGradientSumsArgs args) {
  __shared__ float shared[8 * RowSplit::kThreads];
  WithWidth(args.rows.vectors, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const Walk<kWidth> walk(args.rows);
    const Pack<kWidth> mean = LoadColumns(walk, args.mean);
    float sums[2 * kWidth] = {};
    walk.ForEachRow([&](int64_t i) {
      const Pack<kWidth> dy = Load<kWidth>(args.dy + i), y = Load<kWidth>(args.y + i);
      const Pack<kWidth> x = Load<kWidth>(args.x + i);
      for (int v = 0; v < kWidth; ++v) {
        const float g = Masked(args.limits, dy.v[v], y.v[v]);
        sums[v] += g;
        sums[kWidth + v] = fmaf(g, x.v[v] - mean.v[v], sums[kWidth + v]);
      }
    });
    SumLines(args.rows.lane_bits, sums, shared);
    if (walk.inside && walk.line == 0) {
      float* to = args.partial + 2 * blockIdx.y * walk.channels + walk.channel;
      for (int v = 0; v < kWidth; ++v) {
        to[v] = sums[v];
        to[walk.channels + v] = sums[kWidth + v];
      }
    }
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_batch_norm_gradient_finish(const BatchNormGradientFinishArgs args) {
  __shared__ float shared[2 * RowSplit::kThreads];
  const Walk<1> walk(args.runs);
  float sums[2] = {};
  for (int64_t run = walk.line; walk.inside && run < walk.end; run += walk.lines) {
    const float* from = args.partial + 2 * run * walk.channels + walk.channel;
    sums[0] += from[0];
    sums[1] += from[walk.channels];
  }
  SumLines(args.runs.lane_bits, sums, shared);
  if (!walk.inside || walk.line != 0) return;
  args.dbias[walk.channel] = sums[0];
  args.dweight[walk.channel] = sums[1] * args.inv_std[walk.channel];
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_batch_norm_input_gradient(const BatchNormInputGradientArgs args) {
  WithWidth(args.rows.vectors, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const Walk<kWidth> walk(args.rows);
    const float inverse_rows = 1.0f / static_cast<float>(args.rows.rows);
    const Pack<kWidth> mean = LoadColumns(walk, args.mean);
    const Pack<kWidth> inv_std = LoadColumns(walk, args.inv_std);
    Pack<kWidth> gain = LoadColumns(walk, args.weight), slope = LoadColumns(walk, args.dweight);
    Pack<kWidth> offset = LoadColumns(walk, args.dbias);
    for (int v = 0; v < kWidth; ++v) {
      gain.v[v] *= inv_std.v[v];
      offset.v[v] *= inverse_rows;
      slope.v[v] *= inv_std.v[v] * inverse_rows;
    }
    walk.ForEachRow([&](int64_t i) {
      Pack<kWidth> g = Load<kWidth>(args.dy + i);
      const Pack<kWidth> y = Load<kWidth>(args.y + i), x = Load<kWidth>(args.x + i);
      for (int v = 0; v < kWidth; ++v) {
        const float rest = Masked(args.limits, g.v[v], y.v[v]) - offset.v[v];
        g.v[v] = gain.v[v] * fmaf(mean.v[v] - x.v[v], slope.v[v], rest);
      }
      Store(g, args.dx + i);
    });
  });
}

}  // namespace ninc::cuda
