// The schedule of the forward and data passes: which block of pixels meets which panel of weights,
// when, and on which thread. The arithmetic is the register tile's (tile.cc), the layout of the
// weights conv2d_pack's.
//
// For each lattice (conv2d_taps.h): tasks are blocks of pixels × ranges of panels. Inside a task a
// panel's slice of weights (at most kPanelBytes, so that it stays in L2) is read once for each tile
// of rows, and the block's pixels stay in L2 from panel to panel. Threads take tasks in any order;
// every output is one sum in one order, whatever the blocks, so the bits depend on neither.
#include "kernels/conv2d.h"

#include <algorithm>
#include <array>

#include "base/thread_pool.h"
#include "kernels/conv2d_cost.h"
#include "kernels/conv2d_depthwise.h"
#include "kernels/conv2d_pack.h"
#include "kernels/conv2d_rows.h"
#include "kernels/conv2d_weights.h"
#include "kernels/tile.h"
#include "kernels/winograd.h"

namespace ninc::cpu {
namespace {

constexpr int64_t kPanelBytes = 512 << 10;
constexpr int64_t kTilesPerBlock = 16;

int64_t BlockRows() { return kTilesPerBlock * Tiles().shape.rows; }

// A stretch of the sum: taps [tap, tap + taps), channels [offset, offset + depth) of each.
struct Stretch {
  int64_t tap, taps, offset, depth;
};

// The sum over `taps`·`depth` terms cut into stretches whose weights fit kPanelBytes: whole taps
// while a tap fits, parts of one where it does not.
class Stretches {
 public:
  Stretches(int64_t taps, int64_t depth, int64_t width) : taps_(taps), depth_(depth) {
    const int64_t terms = std::max<int64_t>(1, kPanelBytes / (width * int64_t{sizeof(float)}));
    depth_step_ = std::max<int64_t>(1, std::min(depth, terms));
    taps_step_ = depth <= terms ? std::max<int64_t>(1, terms / std::max<int64_t>(1, depth)) : 1;
  }
  // At least one: a sum without terms still writes its zeros.
  int64_t count() const {
    return std::max<int64_t>(1, Steps(taps_, taps_step_) * Steps(depth_, depth_step_));
  }
  Stretch operator[](int64_t index) const {
    const int64_t parts = std::max<int64_t>(1, Steps(depth_, depth_step_));
    const int64_t tap = index / parts * taps_step_;
    const int64_t offset = index % parts * depth_step_;
    return {tap, std::min(taps_step_, taps_ - tap), offset, std::min(depth_step_, depth_ - offset)};
  }

 private:
  static int64_t Steps(int64_t all, int64_t step) { return (all + step - 1) / step; }
  int64_t taps_, depth_, taps_step_, depth_step_;
};

// The scratch memory of one task.
struct BlockScratch {
  const float** rows;  // [taps][BlockRows]
  float** out;         // [BlockRows]
  float* zeros;        // [depth]
  float* patches;      // [BlockRows][taps·depth], where UsesPatches

  static size_t Bytes(const TapLattice& lattice) {
    const bool patches = UsesPatches(lattice);
    return Carver::Bytes<float*>((patches ? 1 : lattice.taps()) * BlockRows()) +
           Carver::Bytes<float*>(BlockRows()) + Carver::Bytes<float>(lattice.depth) +
           (patches ? Carver::Bytes<float>(BlockRows() * lattice.taps() * lattice.depth) : 0);
  }
  BlockScratch(const TapLattice& lattice, std::byte* memory) {
    Carver carver(memory);
    rows = carver.Take<const float*>((UsesPatches(lattice) ? 1 : lattice.taps()) * BlockRows());
    out = carver.Take<float*>(BlockRows());
    zeros = carver.Take<float>(lattice.depth);
    patches = reinterpret_cast<float*>(carver.Take<float>(0));
  }
};

// How one task's rows are multiplied: as taps through pointers, or as one tap of gathered patches.
struct RowSource {
  int64_t taps, depth;
};

RowSource PrepareRows(const TapLattice& lattice, const float* src, int64_t group, int64_t first,
                      int64_t pixels, const BlockScratch& scratch) {
  const int64_t channel0 = group * lattice.depth;
  if (UsesPatches(lattice)) {
    const int64_t depth = lattice.taps() * lattice.depth;
    GatherPatches(lattice, src, channel0, first, pixels, scratch.patches);
    for (int64_t m = 0; m < pixels; ++m) scratch.rows[m] = scratch.patches + m * depth;
    return {1, depth};
  }
  std::fill_n(scratch.zeros, lattice.depth, 0.0f);
  TapRows(lattice, src, scratch.zeros, channel0, first, pixels, 0, lattice.h.taps, BlockRows(),
          scratch.rows);
  return {lattice.taps(), lattice.depth};
}

void PrepareOutput(const TapLattice& lattice, float* dst, int64_t group, int64_t first,
                   int64_t pixels, float** out) {
  PixelWalk walk(lattice, first);
  for (int64_t m = 0; m < pixels; ++m, walk.Next()) {
    out[m] = DestinationPixel(lattice, walk, dst) + group * lattice.columns;
  }
}

// All tiles of one block of pixels and one panel. fetch: each tile fetches the next one's rows.
void RunPanel(const RowSource& source, const BlockScratch& scratch, int64_t pixels,
              const Panels& panels, int64_t panel, const float* packed, const float* bias,
              Activation activation, bool fetch) {
  const TileKernels& kernels = Tiles();
  const int64_t width = panels.Width(panel);
  const Stretches stretches(source.taps, source.depth, width);
  const float* weights = packed + source.taps * source.depth * panels.Column(panel);
  for (int64_t index = 0; index < stretches.count(); ++index) {
    const Stretch stretch = stretches[index];
    const float* b = weights + (stretch.tap * source.depth + stretch.offset) * width;
    for (int64_t m = 0; m < pixels; m += kernels.shape.rows) {
      const int64_t rows = std::min<int64_t>(kernels.shape.rows, pixels - m);
      const bool next = fetch && m + rows + kNextRows <= pixels;
      kernels.tile[rows - 1][panels.Vectors(panel) - 1]({
          .rows = scratch.rows + stretch.tap * BlockRows() + m,
          .row_stride = BlockRows(),
          .row_offset = stretch.offset,
          .next = next ? scratch.rows + m + rows : nullptr,
          .taps = stretch.taps,
          .depth = stretch.depth,
          .b = b,
          .out = scratch.out + m,
          .column = panels.Column(panel),
          .columns = panels.Columns(panel),
          .first = index == 0,
          .last = index + 1 == stretches.count(),
          .bias = bias,
          .activation = activation,
      });
    }
  }
}

// One lattice of one pass, all groups.
void RunLattice(const Conv2dProblem& p, Pass pass, int64_t index, const float* src,
                const float* packed, const float* bias, Activation activation, float* dst,
                const Workspace& workspace) {
  const TapLattice lattice = MakeLattice(p, pass, index);
  const Panels panels(lattice.columns, Tiles().shape);
  const int64_t blocks = (lattice.rows() + BlockRows() - 1) / BlockRows();
  // Few blocks (small maps, batch 1): split the panels too, until every thread has some tasks.
  const int64_t wanted = 4 * workspace.threads();
  const int64_t splits = std::clamp<int64_t>(
      (wanted + blocks * p.groups - 1) / std::max<int64_t>(1, blocks * p.groups), 1,
      panels.count());

  ParallelFor(workspace.threads(), blocks * p.groups * splits, [&](int64_t task, int thread) {
    const int64_t split = task % splits;
    const int64_t group = task / splits % p.groups;
    const int64_t first = task / splits / p.groups * BlockRows();
    const int64_t pixels = std::min(BlockRows(), lattice.rows() - first);
    const BlockScratch scratch(lattice, workspace.thread<std::byte>(thread));
    const RowSource source = PrepareRows(lattice, src, group, first, pixels, scratch);
    PrepareOutput(lattice, dst, group, first, pixels, scratch.out);
    const float* group_packed = packed + PackedOffset(p, pass, group, index);
    const float* group_bias = bias == nullptr ? nullptr : bias + group * lattice.columns;
    const int64_t panel0 = panels.count() * split / splits;
    for (int64_t panel = panel0; panel < panels.count() * (split + 1) / splits; ++panel) {
      // A 1×1 layer's rows come from memory the first time (large batches gain 15 %); a larger
      // kernel's neighbours have read most of them already.
      const bool fetch = source.taps == 1 && panel == panel0;
      RunPanel(source, scratch, pixels, panels, panel, group_packed, group_bias, activation, fetch);
    }
  });
}

}  // namespace

size_t PackedWeightBytes(const Conv2dProblem& p, Pass pass) {
  if (IsDepthwise(p)) return DepthwisePackedBytes(p);
  if (const WinogradShape shape = ChooseWinograd(p, pass); shape.tile > 0) {
    return WinogradPackedBytes(p, pass, shape);
  }
  return PackedOffset(p, pass, p.groups, 0) * sizeof(float);
}

void PackWeights(const Conv2dProblem& p, Pass pass, const float* weight, const float* scale,
                 float* packed, int threads) {
  if (IsDepthwise(p)) return PackDepthwise(p, pass, weight, scale, packed);
  if (const WinogradShape shape = ChooseWinograd(p, pass); shape.tile > 0) {
    return PackWinograd(p, pass, shape, weight, scale, packed, threads);
  }
  PackPanels(p, pass, weight, scale, packed, threads);
}

WorkspaceSize Conv2dWorkspace(const Conv2dProblem& p, Pass pass) {
  const WinogradShape shape = ChooseWinograd(p, pass);
  if (pass == Pass::kBackwardWeights) {
    return shape.tile > 0 ? WinogradWeightsWorkspace(shape) : BackwardWeightsWorkspace(p);
  }
  if (shape.tile > 0) return WinogradRunWorkspace(p, pass, shape);
  if (IsDepthwise(p)) return DepthwiseWorkspace(p, pass);
  WorkspaceSize size;
  for (int64_t i = 0; i < LatticeCount(p, pass); ++i) {
    size.per_thread = std::max(size.per_thread, BlockScratch::Bytes(MakeLattice(p, pass, i)));
  }
  return size;
}

std::string Conv2dAlgorithm(const Conv2dProblem& p, Pass pass) {
  if (IsDepthwise(p)) return "depthwise";
  if (const WinogradShape shape = ChooseWinograd(p, pass); shape.tile > 0) return WinogradName(shape);
  const TileShape& tile = Tiles().shape;
  const std::string shape = std::to_string(tile.rows) + "×" + std::to_string(tile.width());
  if (p.IsPointwise()) return "matrix product " + shape;
  const Pass lattice_pass = pass == Pass::kBackwardData ? pass : Pass::kForward;
  const bool patches = UsesPatches(MakeLattice(p, lattice_pass, 0));
  return (patches ? "patch gemm " : "implicit gemm ") + shape;
}

void Conv2dForward(const Conv2dProblem& p, const float* x, const float* packed, const float* bias,
                   Activation activation, float* y, const Workspace& workspace) {
  if (p.output().size() == 0) return;
  if (IsDepthwise(p)) {
    return DepthwiseRun(p, Pass::kForward, x, packed, bias, activation, y, workspace);
  }
  if (const WinogradShape shape = ChooseWinograd(p, Pass::kForward); shape.tile > 0) {
    return WinogradRun(p, Pass::kForward, shape, x, packed, bias, activation, y, workspace);
  }
  RunLattice(p, Pass::kForward, 0, x, packed, bias, activation, y, workspace);
}

void Conv2dBackwardData(const Conv2dProblem& p, const float* dy, const float* packed, float* dx,
                        const Workspace& workspace) {
  if (p.input.size() == 0) return;
  if (IsDepthwise(p)) {
    return DepthwiseRun(p, Pass::kBackwardData, dy, packed, nullptr, Activation{}, dx, workspace);
  }
  if (const WinogradShape shape = ChooseWinograd(p, Pass::kBackwardData); shape.tile > 0) {
    return WinogradRun(p, Pass::kBackwardData, shape, dy, packed, nullptr, Activation{}, dx,
                       workspace);
  }
  for (int64_t i = 0; i < LatticeCount(p, Pass::kBackwardData); ++i) {
    RunLattice(p, Pass::kBackwardData, i, dy, packed, nullptr, Activation{}, dx, workspace);
  }
}

void Conv2dBackwardWeights(const Conv2dProblem& p, const float* x, const float* dy, float* dweight,
                           const Workspace& workspace) {
  if (IsDepthwise(p)) return DepthwiseBackwardWeights(p, x, dy, dweight, workspace);
  if (const WinogradShape shape = ChooseWinograd(p, Pass::kBackwardWeights); shape.tile > 0) {
    return WinogradBackwardWeights(p, shape, x, dy, dweight, workspace);
  }
  BackwardWeights(p, x, dy, dweight, workspace);
}

}  // namespace ninc::cpu
