#include "kernels/conv2d_pack.h"

#include "base/thread_pool.h"

namespace ninc::cpu {
namespace {

// Each row of the kernel belongs to exactly one lattice of a pass, so all lattices of a group
// together hold R·S·depth padded rows.
size_t GroupSize(const Conv2dProblem& p, const TapLattice& lattice, const Panels& panels) {
  return static_cast<size_t>(p.kernel_h * p.kernel_w * lattice.depth * panels.padded_columns());
}

void PackPanel(const Conv2dProblem& p, Pass pass, const TapLattice& lattice, int64_t group,
               int64_t column0, int64_t columns, int64_t width, const float* weight,
               const float* scale, float* out) {
  const int64_t window = p.kernel_h * p.kernel_w;
  const bool forward = pass == Pass::kForward;
  // weight(k, c, r, s): forward walks depth over c and columns over k, backward the other way.
  const int64_t depth_stride = forward ? window : p.group_in() * window;
  const int64_t column_stride = forward ? p.group_in() * window : window;
  const int64_t group_k0 = group * p.group_out();
  const float* base = weight + group_k0 * p.group_in() * window + column0 * column_stride;
  for (int64_t a = 0; a < lattice.h.taps; ++a) {
    for (int64_t b = 0; b < lattice.w.taps; ++b) {
      const int64_t r = lattice.h.kernel0 + a * lattice.h.kernel_step;
      const int64_t s = lattice.w.kernel0 + b * lattice.w.kernel_step;
      const float* tap = base + r * p.kernel_w + s;
      for (int64_t d = 0; d < lattice.depth; ++d, out += width) {
        const float* from = tap + d * depth_stride;
        for (int64_t j = 0; j < columns; ++j) {
          const int64_t k = group_k0 + (forward ? column0 + j : d);
          out[j] = from[j * column_stride] * (scale != nullptr ? scale[k] : 1.0f);
        }
        for (int64_t j = columns; j < width; ++j) out[j] = 0.0f;
      }
    }
  }
}

}  // namespace

size_t PackedOffset(const Conv2dProblem& p, Pass pass, int64_t group, int64_t index) {
  const TapLattice any = MakeLattice(p, pass, 0);
  const Panels panels(any.columns, Tiles().shape);
  size_t offset = static_cast<size_t>(group) * GroupSize(p, any, panels);
  for (int64_t i = 0; i < index; ++i) {
    const TapLattice lattice = MakeLattice(p, pass, i);
    offset += static_cast<size_t>(lattice.taps() * lattice.depth * panels.padded_columns());
  }
  return offset;
}

void PackPanels(const Conv2dProblem& p, Pass pass, const float* weight, const float* scale,
                float* packed, int threads) {
  const int64_t lattices = LatticeCount(p, pass);
  const Panels panels(MakeLattice(p, pass, 0).columns, Tiles().shape);
  ParallelFor(threads, p.groups * lattices * panels.count(), [&](int64_t task, int) {
    const int64_t panel = task % panels.count();
    const int64_t index = task / panels.count() % lattices;
    const int64_t group = task / panels.count() / lattices;
    const TapLattice lattice = MakeLattice(p, pass, index);
    const int64_t panel_rows = lattice.taps() * lattice.depth;
    PackPanel(p, pass, lattice, group, panels.Column(panel), panels.Columns(panel),
              panels.Width(panel), weight, scale,
              packed + PackedOffset(p, pass, group, index) + panel_rows * panels.Column(panel));
  });
}

}  // namespace ninc::cpu
