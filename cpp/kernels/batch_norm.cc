// Both directions are bound by memory, so each reads its matrices twice and no more: once for the
// sums, once for the result. The forward sums take mean and squared deviations of a block while it
// is in the first-level cache and join blocks by the formula of Chan, Golub and LeVeque (1979);
// the textbook's E[x²] - E[x]² reads once as well, and loses all digits when the mean is large
// against the deviation.
#include "kernels/batch_norm.h"

#include <cmath>

#include "kernels/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/batch_norm.cc"
#include "kernels/foreach_target.h"
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {

// What of `rows` more rows with mean m_b and squared deviations s_b goes into `seen` rows with
// m_a, s_a:  d = m_b - m_a;  m = m_a + d * n_b/n;  s = s_a + s_b + d² * n_a * n_b/n
struct Join {
  Join(int64_t seen, int64_t rows) {
    const float share = static_cast<float>(static_cast<double>(rows) / (seen + rows));
    mean = hn::Set(D(), share);
    squares = hn::Set(D(), static_cast<float>(seen) * share);
  }
  HWY_INLINE void operator()(V other_mean, V other_squares, V& m, V& s) const {
    const V d = hn::Sub(other_mean, m);
    m = hn::MulAdd(d, mean, m);
    s = hn::Add(s, hn::MulAdd(hn::Mul(d, d), squares, other_squares));
  }
  V mean, squares;
};

// mean(c) and squares(c) = sum (x - mean)² over the rows of one task.
HWY_INLINE void TaskStatistics(const RowSplit& split, int64_t task, int64_t channels,
                               const float* x, float* mean, float* squares) {
  const int64_t first = task * split.task_rows;
  split.ForEachBlock(task, [&](int64_t begin, int64_t end) HWY_ATTR {
    const Join join(begin - first, end - begin);
    const V inverse = hn::Set(D(), 1.0f / static_cast<float>(end - begin));
    ForEachSlice<4>(channels, [&](int64_t c, auto slice) HWY_ATTR {
      constexpr int kV = decltype(slice)::kVectors;
      V m[kV], s[kV];
      for (int v = 0; v < kV; ++v) m[v] = s[v] = hn::Zero(D());
      for (int64_t row = begin; row < end; ++row) {
        for (int v = 0; v < kV; ++v) m[v] = hn::Add(m[v], slice.Load(x + row * channels + c, v));
      }
      for (int v = 0; v < kV; ++v) m[v] = hn::Mul(m[v], inverse);
      for (int64_t row = begin; row < end; ++row) {
        for (int v = 0; v < kV; ++v) {
          const V d = hn::Sub(slice.Load(x + row * channels + c, v), m[v]);
          s[v] = hn::MulAdd(d, d, s[v]);
        }
      }
      for (int v = 0; v < kV; ++v) {
        if (begin != first) {
          V all_m = slice.Load(mean + c, v), all_s = slice.Load(squares + c, v);
          join(m[v], s[v], all_m, all_s);
          m[v] = all_m;
          s[v] = all_s;
        }
        slice.Store(m[v], mean + c, v);
        slice.Store(s[v], squares + c, v);
      }
    });
  });
}

}  // namespace

void ScaleShift(int64_t rows, int64_t channels, const float* x, const float* scale,
                const float* shift, Activation activation, float* y, int threads) {
  WithKind(activation, [&](auto kind) HWY_ATTR {
    ParallelBlocks(threads, rows, RowsInBlock(channels), [&](int64_t begin, int64_t end) HWY_ATTR {
      for (int64_t row = begin; row < end; ++row) {
        ForEachSlice<1>(channels, [&](int64_t c, auto slice) HWY_ATTR {
          const int64_t i = row * channels + c;
          const V scaled =
              hn::MulAdd(slice.Load(x + i), slice.Load(scale + c), slice.Load(shift + c));
          slice.Store(Activated(kind, scaled), y + i);
        });
      }
    });
  });
}

// mean(c), squares(c) over all rows. partial: tasks×2×channels.
void Statistics(int64_t rows, int64_t channels, const float* x, float* partial, float* mean,
                float* squares, int threads) {
  const RowSplit split(rows, channels);
  ParallelFor(threads, split.tasks, [&](int64_t task, int) HWY_ATTR {
    float* own = partial + task * 2 * channels;
    TaskStatistics(split, task, channels, x, own, own + channels);
  });
  ForEachSlice<1>(channels, [&](int64_t c, auto slice) HWY_ATTR {
    V m = slice.Load(partial + c), s = slice.Load(partial + channels + c);
    for (int64_t task = 1; task < split.tasks; ++task) {
      const int64_t seen = task * split.task_rows;
      const Join join(seen, std::min(rows - seen, split.task_rows));
      const float* own = partial + task * 2 * channels;
      join(slice.Load(own + c), slice.Load(own + channels + c), m, s);
    }
    slice.Store(m, mean + c);
    slice.Store(s, squares + c);
  });
}

// y = activation((x - mean) * scale + bias). Not x * scale + shift: with a mean far from zero the
// two products would cancel.
void Normalize(int64_t rows, int64_t channels, const float* x, const float* mean,
               const float* scale, const float* bias, Activation activation, float* y,
               int threads) {
  WithKind(activation, [&](auto kind) HWY_ATTR {
    ParallelBlocks(threads, rows, RowsInBlock(channels), [&](int64_t begin, int64_t end) HWY_ATTR {
      for (int64_t row = begin; row < end; ++row) {
        ForEachSlice<1>(channels, [&](int64_t c, auto slice) HWY_ATTR {
          const int64_t i = row * channels + c;
          const V centred = hn::Sub(slice.Load(x + i), slice.Load(mean + c));
          const V scaled = hn::MulAdd(centred, slice.Load(scale + c), slice.Load(bias + c));
          slice.Store(Activated(kind, scaled), y + i);
        });
      }
    });
  });
}

// dbias and dweight. partial: tasks×2×channels.
void GradientSums(int64_t rows, int64_t channels, const float* dy, const float* x, const float* y,
                  Activation activation, const float* mean, const float* inv_std, float* partial,
                  float* dweight, float* dbias, int threads) {
  const RowSplit split(rows, channels);
  WithKind(activation, [&](auto kind) HWY_ATTR {
    ParallelFor(threads, split.tasks, [&](int64_t task, int) HWY_ATTR {
      float* own = partial + task * 2 * channels;
      std::memset(own, 0, static_cast<size_t>(2 * channels) * sizeof(float));
      split.ForEachBlock(task, [&](int64_t begin, int64_t end) HWY_ATTR {
        ForEachSlice<2>(channels, [&](int64_t c, auto slice) HWY_ATTR {
          constexpr int kV = decltype(slice)::kVectors;
          V sum[kV], product[kV], centre[kV];
          for (int v = 0; v < kV; ++v) {
            sum[v] = product[v] = hn::Zero(D());
            centre[v] = slice.Load(mean + c, v);
          }
          for (int64_t row = begin; row < end; ++row) {
            const int64_t i = row * channels + c;
            for (int v = 0; v < kV; ++v) {
              const V g = Masked(kind, slice.Load(dy + i, v), slice.Load(y + i, v));
              sum[v] = hn::Add(sum[v], g);
              product[v] = hn::MulAdd(g, hn::Sub(slice.Load(x + i, v), centre[v]), product[v]);
            }
          }
          for (int v = 0; v < kV; ++v) {
            float* sums = own + c;
            float* products = own + channels + c;
            slice.Store(hn::Add(slice.Load(sums, v), sum[v]), sums, v);
            slice.Store(hn::Add(slice.Load(products, v), product[v]), products, v);
          }
        });
      });
    });
  });
  SumInOrder(partial, split.tasks, 2 * channels, channels, dbias);
  SumInOrder(partial + channels, split.tasks, 2 * channels, channels, dweight);
  ForEachSlice<1>(channels, [&](int64_t c, auto slice) HWY_ATTR {
    slice.Store(hn::Mul(slice.Load(dweight + c), slice.Load(inv_std + c)), dweight + c);
  });
}

// dx = gain * (g - offset - (x - mean) * slope)
void InputGradient(int64_t rows, int64_t channels, const float* dy, const float* x, const float* y,
                   Activation activation, const float* mean, const float* gain, const float* offset,
                   const float* slope, float* dx, int threads) {
  WithKind(activation, [&](auto kind) HWY_ATTR {
    ParallelBlocks(threads, rows, RowsInBlock(channels), [&](int64_t begin, int64_t end) HWY_ATTR {
      for (int64_t row = begin; row < end; ++row) {
        ForEachSlice<1>(channels, [&](int64_t c, auto slice) HWY_ATTR {
          const int64_t i = row * channels + c;
          const V g = Masked(kind, slice.Load(dy + i), slice.Load(y + i));
          const V centred = hn::Sub(slice.Load(x + i), slice.Load(mean + c));
          const V rest =
              hn::NegMulAdd(centred, slice.Load(slope + c), hn::Sub(g, slice.Load(offset + c)));
          slice.Store(hn::Mul(rest, slice.Load(gain + c)), dx + i);
        });
      }
    });
  });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

void ScaleShift(int64_t rows, int64_t channels, const float* x, const float* scale,
                const float* shift, Activation activation, float* y, int threads) {
  NINC_DISPATCH(ScaleShift)(rows, channels, x, scale, shift, activation, y, threads);
}

// Three rows of channel factors, then the tasks' partial sums.
WorkspaceSize BatchNormWorkspace(int64_t rows, int64_t channels) {
  const int64_t tasks = RowSplit(rows, channels).tasks;
  return {static_cast<size_t>((3 + 2 * tasks) * channels) * sizeof(float), 0};
}

void BatchNormForward(int64_t rows, int64_t channels, const float* x, const float* weight,
                      const float* bias, float eps, float momentum, Activation activation,
                      float* running_mean, float* running_var, float* save_mean,
                      float* save_inv_std, float* y, const Workspace& workspace) {
  if (rows == 0) {
    std::fill_n(save_mean, channels, 0.0f);
    std::fill_n(save_inv_std, channels, 0.0f);
    return;
  }
  float* scale = workspace.shared();
  float* squares = scale + channels;
  NINC_DISPATCH(Statistics)
  (rows, channels, x, scale + 3 * channels, save_mean, squares, workspace.threads());
  const float unbiased_rows = static_cast<float>(std::max<int64_t>(1, rows - 1));
  for (int64_t c = 0; c < channels; ++c) {
    const float variance = squares[c] / static_cast<float>(rows);
    save_inv_std[c] = 1.0f / std::sqrt(variance + eps);
    scale[c] = save_inv_std[c] * weight[c];
    running_mean[c] += momentum * (save_mean[c] - running_mean[c]);
    running_var[c] += momentum * (squares[c] / unbiased_rows - running_var[c]);
  }
  NINC_DISPATCH(Normalize)
  (rows, channels, x, save_mean, scale, bias, activation, y, workspace.threads());
}

void BatchNormBackward(int64_t rows, int64_t channels, const float* dy, const float* x,
                       const float* y, Activation activation, const float* weight,
                       const float* save_mean, const float* save_inv_std, float* dx, float* dweight,
                       float* dbias, const Workspace& workspace) {
  if (activation.kind == Activation::Kind::kNone) y = dy;  // not looked at, and may be null
  float* gain = workspace.shared();
  float* offset = gain + channels;
  float* slope = offset + channels;
  NINC_DISPATCH(GradientSums)
  (rows, channels, dy, x, y, activation, save_mean, save_inv_std, slope + channels, dweight, dbias,
   workspace.threads());
  const float inverse_rows = 1.0f / static_cast<float>(std::max<int64_t>(1, rows));
  for (int64_t c = 0; c < channels; ++c) {
    gain[c] = weight[c] * save_inv_std[c];
    offset[c] = dbias[c] * inverse_rows;
    slope[c] = dweight[c] * save_inv_std[c] * inverse_rows;
  }
  NINC_DISPATCH(InputGradient)
  (rows, channels, dy, x, y, activation, save_mean, gain, offset, slope, dx, workspace.threads());
}

}  // namespace ninc::cpu
#endif
