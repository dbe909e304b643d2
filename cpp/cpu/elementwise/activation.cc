// ReLU and ReLU6, forward and backward. All outputs are written (=).
//
// Blocks of elements where there is nothing to sum, and blocks of rows where dbias is wanted: each
// task sums its own and the partial sums are added in order, so that no bit depends on the threads.
#include "cpu/elementwise/activation.h"

#include "cpu/schedule/blocks.h"
#include "cpu/compile_context.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/elementwise/activation.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

// y(i) = min(max(x(i), 0), limit); NaN stays NaN. y may be x.
void ActivationForward(int64_t count, Activation activation, const float* x, float* y,
                       int threads) {
  WithKind(activation, [&](auto kind) HWY_ATTR {
    ParallelBlocks(threads, count, kElementBlock, [&](int64_t begin, int64_t end) HWY_ATTR {
      ForEachSlice<1>(end - begin, [&](int64_t i, auto slice) HWY_ATTR {
        slice.Store(Activated(kind, slice.Load(x + begin + i)), y + begin + i);
      });
    });
  });
}

// dx = mask(dy), no sums.
void MaskGradient(int64_t count, Activation activation, const float* dy, const float* y, float* dx,
                  int threads) {
  WithKind(activation, [&](auto kind) HWY_ATTR {
    ParallelBlocks(threads, count, kElementBlock, [&](int64_t begin, int64_t end) HWY_ATTR {
      ForEachSlice<1>(end - begin, [&](int64_t offset, auto slice) HWY_ATTR {
        const int64_t i = begin + offset;
        slice.Store(Masked(kind, slice.Load(dy + i), slice.Load(y + i)), dx + i);
      });
    });
  });
}

// dx = mask(dy) unless null and dbias = its column sums, in one pass: the tasks' partial sums
// (tasks×channels) are added in order afterwards.
void MaskAndSumGradient(int64_t rows, int64_t channels, Activation activation, const float* dy,
                        const float* y, float* dx, float* dbias, float* partial, int threads) {
  const RowSplit split(rows, channels);
  WithKind(activation, [&](auto kind) HWY_ATTR {
    ParallelFor(threads, split.tasks, [&](int64_t task, int) HWY_ATTR {
      float* sums = partial + task * channels;
      std::memset(sums, 0, static_cast<size_t>(channels) * sizeof(float));
      split.ForEachBlock(task, [&](int64_t begin, int64_t end) HWY_ATTR {
        ForEachSlice<4>(channels, [&](int64_t c, auto slice) HWY_ATTR {
          constexpr int kV = decltype(slice)::kVectors;
          V sum[kV];
          for (int v = 0; v < kV; ++v) sum[v] = hn::Zero(D());
          for (int64_t row = begin; row < end; ++row) {
            const int64_t i = row * channels + c;
            for (int v = 0; v < kV; ++v) {
              const V g = Masked(kind, slice.Load(dy + i, v), slice.Load(y + i, v));
              sum[v] = hn::Add(sum[v], g);
              if (dx != nullptr) slice.Store(g, dx + i, v);
            }
          }
          for (int v = 0; v < kV; ++v) {
            slice.Store(hn::Add(slice.Load(sums + c, v), sum[v]), sums + c, v);
          }
        });
      });
    });
  });
  SumInOrder(partial, split.tasks, channels, channels, dbias);
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

WorkspaceSize ActivationBackwardWorkspace(int64_t rows, int64_t channels) {
  return {static_cast<size_t>(RowSplit(rows, channels).tasks * channels) * sizeof(float), 0};
}

void ActivationBackward(Target target, int64_t rows, int64_t channels, Activation activation,
                        const float* dy, const float* y, float* dx, float* dbias,
                        const Workspace& workspace) {
  if (activation == kNoActivation) {
    y = dy;  // not looked at, and may be null
    if (dx == dy) dx = nullptr;
  }
  if (dbias != nullptr) {
    NINC_DISPATCH(target, MaskAndSumGradient)
    (rows, channels, activation, dy, y, dx, dbias, workspace.shared(), workspace.threads());
  } else if (dx != nullptr) {
    NINC_DISPATCH(target, MaskGradient)
    (rows * channels, activation, dy, y, dx, workspace.threads());
  }
}

Compiled Compile(const step::ActivationForward& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, ActivationForward);
  return Kernel{[step, kernel, count = context.shape(step.x).size()](const Run& run) {
    if (step.activation == Activation{} && run.In(step.x) == run.Out(step.y)) return;
    kernel(count, step.activation, run.In(step.x), run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::ActivationBackward& step, const CompileContext& context) {
  const Target target = context.target;
  const Shape dy = context.shape(step.dy);
  return Kernel(ActivationBackwardWorkspace(dy.pixels(), dy.c), [step, target, dy](const Run& run) {
    ActivationBackward(target, dy.pixels(), dy.c, step.activation, run.In(step.dy), run.In(step.y),
                       run.Out(step.dx), run.Out(step.dbias), run.scratch());
  });
}

}  // namespace ninc::cpu
#endif
