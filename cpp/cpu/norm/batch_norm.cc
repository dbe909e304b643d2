// Batch normalisation over the rows of a rows×channels matrix (Ioffe, Szegedy 2015), with PyTorch's
// conventions, and the scale and shift it is in inference. All outputs are written (=).
//
// Here it is a step of its own. Both directions are bound by memory, so each reads its matrices
// twice and no more: once for the sums, once for the result. Most batch norms stand after a
// convolution and have their sums and results from the steps around them (norm_conv2d.cc,
// pointwise_backward.cc).
#include "cpu/norm/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "base/carver.h"
#include "base/threads/thread_pool.h"
#include "cpu/norm/norm_rows.h"
#include "cpu/schedule/blocks.h"
#include "cpu/compile_context.h"

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

// y(r, c) = activation(x(r, c) * scale(c) + shift(c)); y may be x, shift null.
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
namespace {

// Either direction's memory, and how it shares rows out.
struct NormScratch {
  NormScratch(const Shape& shape, Carver& carver) : split(shape.pixels(), shape.c) {
    factors = carver.Take(3 * shape.c);
    partial = carver.Take(split.tasks * 2 * shape.c);
    task_rows = carver.Take<int64_t>(split.tasks);
  }

  RowSplit split;
  float* factors;      // forward [scale, squares][channels], backward [scale, offset, slope]
  float* partial;      // [tasks][2][channels]
  int64_t* task_rows;  // [tasks]
};

WorkspaceSize WorkspaceOf(const Shape& shape) { return {.shared = BytesOf<NormScratch>(shape)}; }

NormScratch ScratchOf(const Shape& shape, const Run& run) {
  Carver carver(run.scratch().shared());
  return NormScratch(shape, carver);
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

// g(r, c) = dy(r, c) where 0 < y(r, c) < limit, else 0;  x̂(r, c) = (z(r, c) - mean(c)) * inv_std(c)
// dbias(c) = sum_r g(r, c);  dweight(c) = sum_r g(r, c) * x̂(r, c): with `sums`, else they are there
// dx(r, c) = weight(c) * inv_std(c) * (g(r, c) - dbias(c)/R - x̂(r, c) * dweight(c)/R) unless null;
// dx may be dy
void Backward(Target target, const NormGradientRows& all, const NormGradient& to, bool sums,
              float* dx, const NormScratch& scratch, int threads) {
  const int64_t channels = all.channels;
  const RowSplit& split = scratch.split;
  if (sums) {
    ParallelFor(threads, split.tasks, [&](int64_t task, int) {
      float* own = scratch.partial + task * 2 * channels;
      std::fill_n(own, 2 * channels, 0.0f);
      split.ForEachBlock(task, [&](int64_t begin, int64_t end) {
        AddGradientSums(target, to.norm, Block(all, begin, end), own);
      });
    });
    StoreGradientSums(split.tasks, scratch.partial, 2 * channels, channels, to.inv_std, to.dweight,
                      to.dbias);
  }
  if (dx == nullptr) return;
  float* const offset = scratch.factors + channels;
  float* const slope = offset + channels;
  InputGradientFactors(all.rows, channels, to.inv_std, to.dweight, to.dbias, offset, slope);
  ParallelBlocks(threads, all.rows, RowsInBlock(channels), [&](int64_t begin, int64_t end) {
    InputGradientRows(target, to.norm, Block(all, begin, end), offset, slope,
                      dx + begin * channels);
  });
}

// y = activation((z - mean) * scale + bias); y may be z.
void Normalize(Target target, const Shape& shape, const float* z, const Normalization& norm,
               float* y, int threads) {
  const int64_t channels = shape.c;
  ParallelBlocks(threads, shape.pixels(), RowsInBlock(channels), [&](int64_t begin, int64_t end) {
    const int64_t first = begin * channels;
    NormalizeRows(target, norm, end - begin, channels, z + first, y + first);
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

Normalization ArraysOf(const step::Norm& norm, const Run& run) {
  return {run.In(norm.mean), run.In(norm.scale), run.In(norm.bias), norm.activation};
}

NormGradient ArraysOf(const step::NormValues& values, const Run& run) {
  return {run.In(values.z), ArraysOf(values.norm, run), run.In(values.inv_std),
          run.Out(values.dweight), run.Out(values.dbias)};
}

// scale(c) = weight(c) / sqrt(var(c) + eps);  shift(c) = bias(c) + (offset(c) - mean(c)) * scale(c)
// in double: done once for many pixels, each of which would meet its errors.
Compiled Compile(const step::FoldNorm& step, const CompileContext& context) {
  return Kernel{[step, channels = context.shape(step.scale).c](const Run& run) {
    const float *weight = run.In(step.weight), *bias = run.In(step.bias);
    const float *mean = run.In(step.mean), *var = run.In(step.var), *offset = run.In(step.offset);
    float *scale = run.Out(step.scale), *shift = run.Out(step.shift);
    for (int64_t c = 0; c < channels; ++c) {
      const double factor = weight[c] / std::sqrt(static_cast<double>(var[c]) + step.eps);
      const double left_out = offset == nullptr ? 0.0 : offset[c];
      scale[c] = static_cast<float>(factor);
      shift[c] = static_cast<float>(bias[c] + (left_out - mean[c]) * factor);
    }
  }};
}

Compiled Compile(const step::ScaleShift& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, ScaleShift);
  return Kernel{[step, kernel, x = context.shape(step.x)](const Run& run) {
    kernel(x.pixels(), x.c, run.In(step.x), run.In(step.scale), run.In(step.shift), step.activation,
           run.Out(step.y), run.threads());
  }};
}

// mean(c) = 1/R sum_r x(r, c);  var(c) = 1/R sum_r (x(r, c) - mean(c))²
// y(r, c) = activation((x(r, c) - mean(c)) * inv_std(c) * weight(c) + bias(c)),
//     inv_std(c) = 1 / sqrt(var(c) + eps)
// With no rows nothing is normalised, the running statistics stay as they are, save_mean and
// save_inv_std become 0.
Compiled Compile(const step::BatchNorm& step, const CompileContext& context) {
  const Target target = context.target;
  const Shape shape = context.shape(step.x);
  return Kernel(WorkspaceOf(shape), [step, target, shape](const Run& run) {
    CopyStatistics(step, shape.c, run);
    const int64_t rows = shape.pixels(), channels = shape.c;
    float *mean = run.Out(step.save_mean), *inv_std = run.Out(step.save_inv_std);
    if (rows == 0) {
      std::fill_n(mean, channels, 0.0f);
      std::fill_n(inv_std, channels, 0.0f);
      return;
    }
    const NormScratch scratch = ScratchOf(shape, run);
    float* const scale = scratch.factors;
    float* const squares = scale + channels;
    const float* const x = run.In(step.x);
    Statistics(target, channels, x, scratch, mean, squares, run.threads());
    FinishStatistics(rows, channels, squares,
                     {.weight = run.In(step.weight),
                      .eps = step.eps,
                      .momentum = run.arguments().norm_momentum.value_or(step.momentum),
                      .running_mean = run.Out(step.new_mean),
                      .running_var = run.Out(step.new_var),
                      .mean = mean,
                      .inv_std = inv_std,
                      .scale = scale});
    Normalize(target, shape, x, {mean, scale, run.In(step.bias), step.activation}, run.Out(step.y),
              run.threads());
  });
}

// The arrays of a batch norm's backward pass, of a step that keeps mean and inv_std.
template <typename Step>
NormGradient GradientOf(const Step& step, ValueId mean, ValueId inv_std, const NormScratch& scratch,
                        int64_t channels, const Run& run) {
  const float *weight = run.In(step.weight), *inverse = run.In(inv_std);
  float* const scale = scratch.factors;
  for (int64_t c = 0; c < channels; ++c) scale[c] = weight[c] * inverse[c];
  return {run.In(step.x),
          {run.In(mean), scale, nullptr, step.activation},
          inverse,
          run.Out(step.dweight),
          run.Out(step.dbias)};
}

Compiled Compile(const step::BatchNormBackward& step, const CompileContext& context) {
  const Target target = context.target;
  const Shape shape = context.shape(step.x);
  return Kernel(WorkspaceOf(shape), [step, target, shape](const Run& run) {
    const NormScratch scratch = ScratchOf(shape, run);
    const NormGradient gradient =
        GradientOf(step, step.save_mean, step.save_inv_std, scratch, shape.c, run);
    Backward(target, {shape.pixels(), shape.c, run.In(step.dy), gradient.z, run.In(step.y)},
             gradient, true, run.Out(step.dx), scratch, run.threads());
  });
}

// ---- In parts, see steps/sync_batch_norm.h ------------------------------------------------------

Compiled Compile(const step::BatchMoments& step, const CompileContext& context) {
  const Target target = context.target;
  const Shape shape = context.shape(step.x);
  return Kernel(WorkspaceOf(shape), [step, target, shape](const Run& run) {
    Statistics(target, shape.c, run.In(step.x), ScratchOf(shape, run), run.Out(step.mean),
               run.Out(step.squares), run.threads());
  });
}

Compiled Compile(const step::NormalizeBatch& step, const CompileContext& context) {
  const Target target = context.target;
  const Shape shape = context.shape(step.x);
  return Kernel(WorkspaceOf(shape), [step, target, shape](const Run& run) {
    const float *weight = run.In(step.weight), *inv_std = run.In(step.inv_std);
    float* const scale = ScratchOf(shape, run).factors;
    for (int64_t c = 0; c < shape.c; ++c) scale[c] = inv_std[c] * weight[c];
    Normalize(target, shape, run.In(step.x),
              {run.In(step.mean), scale, run.In(step.bias), step.activation}, run.Out(step.y),
              run.threads());
  });
}

Compiled Compile(const step::BatchGradientSums& step, const CompileContext& context) {
  const Target target = context.target;
  const Shape shape = context.shape(step.x);
  return Kernel(WorkspaceOf(shape), [step, target, shape](const Run& run) {
    const NormScratch scratch = ScratchOf(shape, run);
    const NormGradient gradient = GradientOf(step, step.mean, step.inv_std, scratch, shape.c, run);
    Backward(target, {shape.pixels(), shape.c, run.In(step.dy), gradient.z, run.In(step.y)},
             gradient, true, nullptr, scratch, run.threads());
  });
}

Compiled Compile(const step::BatchInputGradient& step, const CompileContext& context) {
  const Target target = context.target;
  const Shape shape = context.shape(step.x);
  return Kernel(WorkspaceOf(shape), [step, target, shape](const Run& run) {
    const NormScratch scratch = ScratchOf(shape, run);
    const NormGradient gradient = GradientOf(step, step.mean, step.inv_std, scratch, shape.c, run);
    Backward(target, {shape.pixels(), shape.c, run.In(step.dy), gradient.z, run.In(step.y)},
             gradient, false, run.Out(step.dx), scratch, run.threads());
  });
}

Compiled Compile(const step::Normalize& step, const CompileContext& context) {
  const Target target = context.target;
  return Kernel{[step, target, z = context.shape(step.z)](const Run& run) {
    Normalize(target, z, run.In(step.z), ArraysOf(step.norm, run), run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::NormBackward& step, const CompileContext& context) {
  const Target target = context.target;
  const Shape z = context.shape(step.values.z);
  return Kernel(WorkspaceOf(z), [step, target, z](const Run& run) {
    const NormGradient gradient = ArraysOf(step.values, run);
    Backward(target, {z.pixels(), z.c, run.In(step.dy), gradient.z}, gradient, step.sums,
             run.Out(step.dx), ScratchOf(z, run), run.threads());
  });
}

}  // namespace ninc::cpu
#endif
