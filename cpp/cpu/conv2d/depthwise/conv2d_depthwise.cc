// Depthwise convolution: one multiply-add for two loads, so it runs at the speed of the caches and
// the schedule only has to keep a block of pixels there.
#include "cpu/conv2d/depthwise/conv2d_depthwise.h"

#include <algorithm>

#include "base/threads/cancel.h"
#include "base/carver.h"
#include "base/threads/thread_pool.h"
#include "cpu/conv2d/common/conv2d_rows.h"
#include "cpu/schedule/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/conv2d/depthwise/conv2d_depthwise.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

// out(c) = activation(bias(c) + sum over t < taps of rows[t·stride](c) * weight(t, c))
void DepthwisePixel(const float* const* rows, int64_t stride, int64_t taps, int64_t channels,
                    const float* HWY_RESTRICT weight, const float* bias, Activation activation,
                    float* HWY_RESTRICT out) {
  WithKind(activation, [&](auto kind) HWY_ATTR {
    ForEachSlice<4>(channels, [&](int64_t c, auto slice) HWY_ATTR {
      constexpr int kV = decltype(slice)::kVectors;
      V sum[kV];
      for (int v = 0; v < kV; ++v) {
        sum[v] = bias == nullptr ? hn::Zero(D()) : slice.Load(bias + c, v);
      }
      for (int64_t t = 0; t < taps; ++t) {
        for (int v = 0; v < kV; ++v) {
          sum[v] = hn::MulAdd(slice.Load(rows[t * stride] + c, v),
                              slice.Load(weight + t * channels + c, v), sum[v]);
        }
      }
      for (int v = 0; v < kV; ++v) slice.Store(Activated(kind, sum[v]), out + c, v);
    });
  });
}

// sums(c) (+)= sum over m < pixels of rows[m](channel0 + c) * dy(m, channel0 + c)
void DepthwiseOuter(const float* const* rows, int64_t pixels, int64_t channel0, int64_t count,
                    const float* HWY_RESTRICT dy, int64_t channels, bool first,
                    float* HWY_RESTRICT sums) {
  ForEachSlice<4>(count, [&](int64_t c, auto slice) HWY_ATTR {
    constexpr int kV = decltype(slice)::kVectors;
    V sum[kV];
    for (int v = 0; v < kV; ++v) sum[v] = hn::Zero(D());
    for (int64_t m = 0; m < pixels; ++m) {
      for (int v = 0; v < kV; ++v) {
        sum[v] = hn::MulAdd(slice.Load(rows[m] + channel0 + c, v),
                            slice.Load(dy + m * channels + channel0 + c, v), sum[v]);
      }
    }
    for (int v = 0; v < kV; ++v) {
      if (!first) sum[v] = hn::Add(sum[v], slice.Load(sums + c, v));
      slice.Store(sum[v], sums + c, v);
    }
  });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {
namespace {

constexpr int64_t kBlockPixels = 64;
constexpr int64_t kChannelBlock = 64;  // of a weight gradient's task: what a block keeps in L1

// All channels at once: a lattice whose "depth" is the picture's channels.
TapLattice DepthwiseLattice(const Conv2dPass& conv, int64_t index) {
  TapLattice lattice = MakeLattice(conv.problem, conv.pass, index);
  lattice.depth = lattice.columns = conv.problem.input.c;
  return lattice;
}

struct DepthwiseScratch {
  DepthwiseScratch(const Conv2dPass& conv, Carver& carver) {
    const Conv2dProblem& p = conv.problem;
    const int64_t taps = p.kernel_h * p.kernel_w;  // no lattice has more
    rows = carver.Take<const float*>(taps * kBlockPixels);
    zeros = carver.Take(p.input.c);
    sums = carver.Take(conv.pass == Pass::kBackwardWeights ? taps * kChannelBlock : 0);
  }

  const float** rows;  // [taps][kBlockPixels]
  float* zeros;        // [channels]
  float* sums;         // [taps][kChannelBlock] of a weight gradient
};

}  // namespace

size_t DepthwisePackedBytes(const Conv2dPass& conv) {
  return static_cast<size_t>(conv.problem.weight_size()) * sizeof(float);
}

void PackDepthwise(const Conv2dPass& conv, const float* weight, const float* scale, float* packed) {
  const Conv2dProblem& p = conv.problem;
  const int64_t window = p.kernel_h * p.kernel_w;
  for (int64_t i = 0; i < LatticeCount(p, conv.pass); ++i) {
    const TapLattice lattice = DepthwiseLattice(conv, i);
    for (int64_t a = 0; a < lattice.h.taps; ++a) {
      for (int64_t b = 0; b < lattice.w.taps; ++b) {
        const int64_t tap = (lattice.h.kernel0 + a * lattice.h.kernel_step) * p.kernel_w +
                            lattice.w.kernel0 + b * lattice.w.kernel_step;
        for (int64_t c = 0; c < p.input.c; ++c) {
          *packed++ = weight[c * window + tap] * (scale == nullptr ? 1.0f : scale[c]);
        }
      }
    }
  }
}

WorkspaceSize DepthwiseWorkspace(const Conv2dPass& conv) {
  return {.per_thread = BytesOf<DepthwiseScratch>(conv)};
}

void DepthwiseRun(const Conv2dPass& conv, const float* src, const float* packed, const float* bias,
                  Activation activation, float* dst, const Workspace& workspace) {
  const auto pixel_kernel = NINC_DISPATCH(conv.target, DepthwisePixel);
  const int64_t channels = conv.problem.input.c;
  for (int64_t index = 0; index < LatticeCount(conv.problem, conv.pass); ++index) {
    const TapLattice lattice = DepthwiseLattice(conv, index);
    const int64_t blocks = CeilDiv(lattice.rows(), kBlockPixels);
    ParallelFor(workspace.threads(), blocks, [&](int64_t task, int thread) {
      Carver carver(workspace.thread(thread));
      const DepthwiseScratch scratch(conv, carver);
      std::fill_n(scratch.zeros, channels, 0.0f);
      const int64_t first = task * kBlockPixels;
      const int64_t pixels = std::min(kBlockPixels, lattice.rows() - first);
      TapRows(lattice, src, scratch.zeros, 0, first, pixels, 0, lattice.h.taps, kBlockPixels,
              scratch.rows);
      PixelWalk walk(lattice, first);
      for (int64_t m = 0; m < pixels; ++m, walk.Next()) {
        pixel_kernel(scratch.rows + m, kBlockPixels, lattice.taps(), channels, packed, bias,
                     activation, DestinationPixel(lattice, walk, dst));
      }
    });
    packed += lattice.taps() * channels;
  }
}

void DepthwiseBackwardWeights(const Conv2dPass& conv, const float* x, const float* dy,
                              float* dweight, const Workspace& workspace) {
  const auto outer_kernel = NINC_DISPATCH(conv.target, DepthwiseOuter);
  const TapLattice lattice = DepthwiseLattice(conv, 0);
  const int64_t channels = conv.problem.input.c, taps = lattice.taps(), pixels = lattice.rows();
  if (pixels == 0) {
    std::fill_n(dweight, conv.problem.weight_size(), 0.0f);
    return;
  }
  const int64_t blocks = CeilDiv(channels, kChannelBlock);
  ParallelFor(workspace.threads(), blocks, [&](int64_t task, int thread) {
    Carver carver(workspace.thread(thread));
    const auto [rows, zeros, sums] = DepthwiseScratch(conv, carver);
    std::fill_n(zeros, channels, 0.0f);
    const int64_t channel0 = task * kChannelBlock;
    const int64_t count = std::min(kChannelBlock, channels - channel0);
    for (int64_t first = 0; first < pixels && !IsCancelled(); first += kBlockPixels) {
      const int64_t block = std::min(kBlockPixels, pixels - first);
      TapRows(lattice, x, zeros, 0, first, block, 0, lattice.h.taps, kBlockPixels, rows);
      for (int64_t t = 0; t < taps; ++t) {
        outer_kernel(rows + t * kBlockPixels, block, channel0, count, dy + first * channels,
                     channels, first == 0, sums + t * kChannelBlock);
      }
    }
    for (int64_t c = 0; c < count; ++c) {
      for (int64_t t = 0; t < taps; ++t) {
        dweight[(channel0 + c) * taps + t] = sums[t * kChannelBlock + c];
      }
    }
  });
}

}  // namespace ninc::cpu
#endif  // HWY_ONCE
