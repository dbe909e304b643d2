// Batch norm as a step of its own. Both directions are bound by memory, so each reads its matrices
// twice and no more: once for the sums, once for the result. Most batch norms stand behind a
// convolution and have their sums and results from the steps around them (norm_conv2d.cc,
// pointwise_backward.cc).
#include "cpu/norm/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "base/carver.h"
#include "base/thread_pool.h"
#include "cpu/norm/norm_rows.h"
#include "cpu/schedule/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/norm/batch_norm.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

// y(r, c) = finish(x(r, c), scale(c), c), vector by vector
template <class Finish>
void Scale(int64_t rows, int64_t channels, const float* x, const float* scale, float* y,
           int threads, Finish finish) {
  ParallelBlocks(threads, rows, RowsInBlock(channels), [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t row = begin; row < end; ++row) {
      ForEachSlice<1>(channels, [&](int64_t c, auto slice) HWY_ATTR {
        const int64_t i = row * channels + c;
        slice.Store(finish(slice, slice.Load(x + i), slice.Load(scale + c), c), y + i);
      });
    }
  });
}

void ScaleShift(int64_t rows, int64_t channels, const float* x, const float* scale,
                const float* shift, Activation activation, float* y, int threads) {
  WithKind(activation, [&](auto kind) HWY_ATTR {
    if (shift == nullptr) {
      return Scale(rows, channels, x, scale, y, threads,
                   [&](auto, V value, V factor, int64_t)
                       HWY_ATTR { return Activated(kind, hn::Mul(value, factor)); });
    }
    Scale(rows, channels, x, scale, y, threads,
          [&](auto slice, V value, V factor, int64_t c) HWY_ATTR {
            return Activated(kind, hn::MulAdd(value, factor, slice.Load(shift + c)));
          });
  });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

void ScaleShift(Target target, int64_t rows, int64_t channels, const float* x, const float* scale,
                const float* shift, Activation activation, float* y, int threads) {
  NINC_DISPATCH(target, ScaleShift)(rows, channels, x, scale, shift, activation, y, threads);
}

void FoldNorm(int64_t channels, const StillNorm& norm, float* scale, float* shift) {
  for (int64_t c = 0; c < channels; ++c) {
    const double factor = norm.weight[c] / std::sqrt(static_cast<double>(norm.var[c]) + norm.eps);
    const double offset = norm.offset == nullptr ? 0.0 : norm.offset[c];
    scale[c] = static_cast<float>(factor);
    shift[c] = static_cast<float>(norm.bias[c] + (offset - norm.mean[c]) * factor);
  }
}

namespace {

// Either direction's memory, and how it shares rows out.
struct NormScratch {
  NormScratch(int64_t rows, int64_t channels, Carver& carver) : split(rows, channels) {
    factors = carver.Take(3 * channels);
    partial = carver.Take(split.tasks * 2 * channels);
    task_rows = carver.Take<int64_t>(split.tasks);
  }

  RowSplit split;
  float* factors;      // forward [scale, squares][channels], backward [scale, offset, slope]
  float* partial;      // [tasks][2][channels]
  int64_t* task_rows;  // [tasks]
};

NormScratch ScratchOf(int64_t rows, int64_t channels, const Workspace& workspace) {
  Carver carver(workspace.shared());
  return NormScratch(rows, channels, carver);
}

// The statistics of tasks, joined in their order.
void Statistics(Target target, int64_t channels, const float* x, const NormScratch& scratch,
                float* mean, float* squares, int threads) {
  const RowSplit& split = scratch.split;
  ParallelFor(threads, split.tasks, [&](int64_t task, int) {
    const int64_t first = task * split.task_rows;
    float* own = scratch.partial + task * 2 * channels;
    const int64_t rows = scratch.task_rows[task] = std::min(split.task_rows, split.rows - first);
    BlockStatistics(target, x + first * channels, rows, channels, own, own + channels);
  });
  JoinStatistics(target, split.tasks, scratch.task_rows, scratch.partial, channels, mean, squares,
                 threads);
}

// Blocks [begin, end) of the rows of a gradient.
NormGradientRows Block(const NormGradientRows& all, int64_t begin, int64_t end) {
  const int64_t first = begin * all.channels;
  return {end - begin, all.channels, all.dy + first, all.z + first,
          all.y == nullptr ? nullptr : all.y + first};
}

void Backward(Target target, const NormGradientRows& all, const Normalization& norm,
              const float* inv_std, bool sums, float* dweight, float* dbias, float* dx,
              const NormScratch& scratch, int threads) {
  const int64_t channels = all.channels;
  const RowSplit& split = scratch.split;
  if (sums) {
    ParallelFor(threads, split.tasks, [&](int64_t task, int) {
      float* own = scratch.partial + task * 2 * channels;
      std::fill_n(own, 2 * channels, 0.0f);
      split.ForEachBlock(task, [&](int64_t begin, int64_t end) {
        AddGradientSums(target, norm, Block(all, begin, end), own);
      });
    });
    StoreGradientSums(split.tasks, scratch.partial, 2 * channels, channels, inv_std, dweight,
                      dbias);
  }
  if (dx == nullptr) return;
  float* const offset = scratch.factors + channels;
  float* const slope = offset + channels;
  InputGradientFactors(all.rows, channels, inv_std, dweight, dbias, offset, slope);
  ParallelBlocks(threads, all.rows, RowsInBlock(channels), [&](int64_t begin, int64_t end) {
    InputGradientRows(target, norm, Block(all, begin, end), offset, slope, dx + begin * channels);
  });
}

}  // namespace

void FinishStatistics(int64_t rows, int64_t channels, const float* squares,
                      const NormStatistics& statistics) {
  const NormStatistics& s = statistics;
  const float unbiased_rows = static_cast<float>(std::max<int64_t>(1, rows - 1));
  for (int64_t c = 0; c < channels; ++c) {
    const float variance = squares[c] / static_cast<float>(rows);
    s.inv_std[c] = 1.0f / std::sqrt(variance + s.eps);
    s.scale[c] = s.inv_std[c] * s.weight[c];
    s.running_mean[c] += s.momentum * (s.mean[c] - s.running_mean[c]);
    s.running_var[c] += s.momentum * (squares[c] / unbiased_rows - s.running_var[c]);
  }
}

void Normalize(Target target, int64_t rows, int64_t channels, const float* z,
               const Normalization& norm, float* y, int threads) {
  ParallelBlocks(threads, rows, RowsInBlock(channels), [&](int64_t begin, int64_t end) {
    NormalizeRows(target, norm, end - begin, channels, z + begin * channels, y + begin * channels);
  });
}

WorkspaceSize BatchNormWorkspace(int64_t rows, int64_t channels) {
  return {.shared = BytesOf<NormScratch>(rows, channels)};
}

void BatchNormForward(Target target, int64_t rows, int64_t channels, const float* x,
                      const float* weight, const float* bias, float eps, float momentum,
                      Activation activation, float* running_mean, float* running_var,
                      float* save_mean, float* save_inv_std, float* y, const Workspace& workspace) {
  if (rows == 0) {
    std::fill_n(save_mean, channels, 0.0f);
    std::fill_n(save_inv_std, channels, 0.0f);
    return;
  }
  const NormScratch scratch = ScratchOf(rows, channels, workspace);
  float* const scale = scratch.factors;
  float* const squares = scale + channels;
  Statistics(target, channels, x, scratch, save_mean, squares, workspace.threads());
  FinishStatistics(rows, channels, squares,
                   {.weight = weight,
                    .eps = eps,
                    .momentum = momentum,
                    .running_mean = running_mean,
                    .running_var = running_var,
                    .mean = save_mean,
                    .inv_std = save_inv_std,
                    .scale = scale});
  Normalize(target, rows, channels, x, {save_mean, scale, bias, activation}, y,
            workspace.threads());
}

void BatchNormBackward(Target target, int64_t rows, int64_t channels, const float* dy,
                       const float* x, const float* y, Activation activation, const float* weight,
                       const float* save_mean, const float* save_inv_std, float* dx, float* dweight,
                       float* dbias, const Workspace& workspace) {
  if (activation.kind == Activation::Kind::kNone) y = nullptr;  // not looked at
  const NormScratch scratch = ScratchOf(rows, channels, workspace);
  float* const scale = scratch.factors;
  for (int64_t c = 0; c < channels; ++c) scale[c] = weight[c] * save_inv_std[c];
  Backward(target, {rows, channels, dy, x, y}, {save_mean, scale, nullptr, activation},
           save_inv_std, true, dweight, dbias, dx, scratch, workspace.threads());
}

void NormBackward(Target target, int64_t rows, int64_t channels, const float* dy,
                  const NormGradient& gradient, bool sums, float* dx, const Workspace& workspace) {
  Backward(target, {rows, channels, dy, gradient.z}, gradient.norm, gradient.inv_std, sums,
           gradient.dweight, gradient.dbias, dx, ScratchOf(rows, channels, workspace),
           workspace.threads());
}

}  // namespace ninc::cpu
#endif
