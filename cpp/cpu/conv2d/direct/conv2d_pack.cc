// Panel after panel, in each tap after tap: the order in which a tile reads them, whatever the
// pass, so that one register tile serves forward and backward data.
#include "cpu/conv2d/direct/conv2d_pack.h"

#include <algorithm>

#include "base/threads/thread_pool.h"
#include "cpu/conv2d/common/conv2d_rows.h"
#include "cpu/tile/split_tile.h"

namespace ninc::cpu {
namespace {

// A panel's columns of one group.
struct PanelWeights {
  int64_t group, column0, columns, width;
};

// Terms [first, first + count) of tap `tap` of a sum, one row of a panel each.
void PackTerms(const Conv2dProblem& p, Pass pass, const TapLattice& lattice,
               const PanelWeights& panel, int64_t tap, int64_t first, int64_t count,
               const float* weight, const float* scale, float* out) {
  const int64_t window = p.kernel_h * p.kernel_w;
  const bool forward = pass == Pass::kForward, merged = MergesTaps(lattice);
  // weight(k, c, r, s): forward walks depth over c and columns over k, backward the other way.
  const int64_t depth_stride = forward ? window : p.group_in() * window;
  const int64_t column_stride = forward ? p.group_in() * window : window;
  const int64_t group_k0 = panel.group * p.group_out();
  const float* base = weight + group_k0 * p.group_in() * window + panel.column0 * column_stride;
  for (int64_t term = first; term < first + count; ++term, out += panel.width) {
    const int64_t a = merged ? tap : tap / lattice.w.taps;
    const int64_t b = merged ? term / lattice.depth : tap % lattice.w.taps;
    const int64_t d = merged ? term % lattice.depth : term;
    const int64_t r = lattice.h.kernel0 + a * lattice.h.kernel_step;
    const int64_t s = lattice.w.kernel0 + b * lattice.w.kernel_step;
    const float* from = base + r * p.kernel_w + s + d * depth_stride;
    for (int64_t j = 0; j < panel.columns; ++j) {
      const int64_t k = group_k0 + (forward ? panel.column0 + j : d);
      out[j] = from[j * column_stride] * (scale != nullptr ? scale[k] : 1.0f);
    }
    std::fill(out + panel.columns, out + panel.width, 0.0f);
  }
}

// A step of terms at a time, laid out as above and split.
void PackSplitTap(const Conv2dProblem& p, Pass pass, const TapLattice& lattice,
                  const PanelWeights& panel, int64_t tap, const float* weight, const float* scale,
                  float* out) {
  alignas(64) float terms[kSplitTerms * kMaxTileVectors * kMaxLanes];
  const int64_t depth = SumDepth(lattice);
  const int vectors = static_cast<int>(panel.width / SplitShape().lanes);
  for (int64_t first = 0; first < depth; first += kSplitTerms, out += kSplitTerms * panel.width) {
    const int64_t count = std::min(kSplitTerms, depth - first);
    PackTerms(p, pass, lattice, panel, tap, first, count, weight, scale, terms);
    SplitRight(terms, panel.width, count, panel.width, vectors, reinterpret_cast<std::byte*>(out),
               nullptr);
  }
}

// Terms of a lattice's sum as they are packed.
int64_t PackedTerms(const TapLattice& lattice, const TileShape& shape) {
  const int64_t depth = SumDepth(lattice);
  return SumTaps(lattice) * (shape.split ? SplitSteps(depth) * kSplitTerms : depth);
}

// One lattice of all groups; `packed` is its place in the first.
void PackLattice(const Conv2dPass& conv, const TapLattice& lattice, const float* weight,
                 const float* scale, float* packed, size_t group_size, int threads) {
  const Conv2dProblem& p = conv.problem;
  const Panels panels(lattice.columns, conv.tile);
  const int64_t terms = PackedTerms(lattice, conv.tile), taps = SumTaps(lattice);
  ParallelFor(threads, p.groups * panels.count(), [&](int64_t task, int) {
    const int64_t panel = task % panels.count(), group = task / panels.count();
    const PanelWeights part{group, panels.Column(panel), panels.Columns(panel),
                            panels.Width(panel)};
    float* to = packed + static_cast<size_t>(group) * group_size + terms * part.column0;
    for (int64_t tap = 0; tap < taps; ++tap, to += terms / taps * part.width) {
      if (conv.tile.split) {
        PackSplitTap(p, conv.pass, lattice, part, tap, weight, scale, to);
      } else {
        PackTerms(p, conv.pass, lattice, part, tap, 0, SumDepth(lattice), weight, scale, to);
      }
    }
  });
}

}  // namespace

size_t PackedSize(const TapLattice& lattice, const TileShape& shape) {
  const Panels panels(lattice.columns, shape);
  return static_cast<size_t>(PackedTerms(lattice, shape) * panels.padded_columns());
}

size_t PackedGroupSize(const Conv2dPass& conv) {
  size_t size = 0;
  for (int64_t i = 0; i < LatticeCount(conv.problem, conv.pass); ++i) {
    size += PackedSize(MakeLattice(conv.problem, conv.pass, i), conv.tile);
  }
  return size;
}

void PackPanels(const Conv2dPass& conv, const float* weight, const float* scale, float* packed,
                int threads) {
  const size_t group_size = PackedGroupSize(conv);
  for (int64_t i = 0; i < LatticeCount(conv.problem, conv.pass); ++i) {
    const TapLattice lattice = MakeLattice(conv.problem, conv.pass, i);
    if (lattice.taps() == 0) continue;
    PackLattice(conv, lattice, weight, scale, packed, group_size, threads);
    packed += PackedSize(lattice, conv.tile);
  }
}

}  // namespace ninc::cpu
