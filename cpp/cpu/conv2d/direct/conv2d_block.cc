// A panel of weights stays in L2 while all tiles of the block pass over it, a stretch of the sum at
// a time where the panel is larger; the block's rows are read again for each panel, from L2 too.
#include "cpu/conv2d/direct/conv2d_block.h"

#include <algorithm>

#include "base/processors.h"
#include "cpu/conv2d/common/conv2d_rows.h"
#include "cpu/conv2d/direct/conv2d_split.h"
#include "cpu/schedule/blocks.h"
#include "cpu/tile/tile.h"

namespace ninc::cpu {
namespace {

constexpr int64_t kPanelBytes = 512 << 10;
constexpr int64_t kTilesPerBlock = 16;

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
    return std::max<int64_t>(1, CeilDiv(taps_, taps_step_) * CeilDiv(depth_, depth_step_));
  }
  Stretch operator[](int64_t index) const {
    const int64_t parts = std::max<int64_t>(1, CeilDiv(depth_, depth_step_));
    const int64_t tap = index / parts * taps_step_;
    const int64_t offset = index % parts * depth_step_;
    return {tap, std::min(taps_step_, taps_ - tap), offset, std::min(depth_step_, depth_ - offset)};
  }

 private:
  int64_t taps_, depth_, taps_step_, depth_step_;
};

// What the tiles of a block and a panel fetch meanwhile. A 1×1 layer's rows come from memory the
// first time (large batches gain 15 %), each tile fetching the next one's; a larger kernel's
// neighbours have read most of them already. Weights too many to stay in L2 come from the
// third-level cache each time, and all tiles together fetch the next panel's: of few pixels, those
// of NIN-ImageNet's last layers at batch 1, it takes a quarter less time.
enum class Ahead { kNothing, kRows, kWeights };

Ahead AheadOf(const ProductRows& source, const Panels& panels, bool first_panel) {
  if (source.taps > 1) return Ahead::kNothing;
  const int64_t bytes = source.depth * panels.padded_columns() * int64_t{sizeof(float)};
  if (bytes > SecondLevelCacheBytes() / 4) return Ahead::kWeights;
  return first_panel ? Ahead::kRows : Ahead::kNothing;
}

// All tiles of one block and one panel.
void MultiplyPanel(Target target, const ProductRows& source, const Panels& panels, int64_t panel,
                   const float* packed, const Epilogue& epilogue, float* const* out, Ahead ahead) {
  const TileKernels& kernels = Tiles(target);
  const int64_t width = panels.Width(panel), row_stride = BlockRows(target);
  // Of about as many rows each: a last one of few rows would wait for its own results.
  const int64_t tiles = CeilDiv(source.pixels, kernels.shape.RowsOf(panels.Vectors(panel)));
  const Stretches stretches(source.taps, source.depth, width);
  const float* weights = packed + source.taps * source.depth * panels.Column(panel);
  // The next panel as rows of `depth` floats: a tile fetches kNextRows of them.
  const float* const next_panel = weights + source.taps * source.depth * width;
  const int64_t next_rows = panel + 1 < panels.count() ? panels.Width(panel + 1) : 0;
  for (int64_t index = 0; index < stretches.count(); ++index) {
    const Stretch stretch = stretches[index];
    const float* b = weights + (stretch.tap * source.depth + stretch.offset) * width;
    for (int64_t tile = 0, m = 0; tile < tiles; ++tile) {
      const int64_t end = source.pixels * (tile + 1) / tiles, rows = end - m;
      const float* const* next = nullptr;
      const float* next_weights[kNextRows];
      if (ahead == Ahead::kRows && source.next != nullptr) {
        if (m + kNextRows <= source.pixels) next = source.next + m;
      } else if (ahead == Ahead::kRows && m + rows + kNextRows <= source.pixels) {
        next = source.rows + m + rows;
      } else if (ahead == Ahead::kWeights && (tile + 1) * kNextRows <= next_rows) {
        for (int64_t i = 0; i < kNextRows; ++i) {
          next_weights[i] = next_panel + (tile * kNextRows + i) * source.depth + stretch.offset;
        }
        next = next_weights;
      }
      kernels.tile[rows - 1][panels.Vectors(panel) - 1]({
          .rows = source.rows + stretch.tap * row_stride + m,
          .row_stride = row_stride,
          .row_offset = stretch.offset,
          .next = next,
          .taps = stretch.taps,
          .depth = stretch.depth,
          .b = b,
          .out = out + m,
          .column = panels.Column(panel),
          .columns = panels.Columns(panel),
          .first = index == 0,
          .last = index + 1 == stretches.count(),
          .bias = epilogue.bias,
          .activation = epilogue.activation,
          .mask_base = epilogue.x,
          .out_base = epilogue.dx,
      });
      m = end;
    }
  }
}

}  // namespace

int64_t BlockRows(Target target) { return kTilesPerBlock * Tiles(target).shape.rows; }

int64_t BlockPixels(Target target, const TapLattice& lattice, const TileShape& shape) {
  return SplitsPictures(lattice, shape) ? SplitPicturePixels(lattice) : BlockRows(target);
}

void MultiplyBlock(Target target, const ProductRows& source, const Panels& panels, int64_t panel0,
                   int64_t panel1, const float* packed, const Epilogue& epilogue,
                   float* const* out) {
  if (source.groups.count > 0) {
    return MultiplySplitPicture(source.groups, panels, panel0, panel1, packed, epilogue, out);
  }
  if (panels.shape().split) {
    return MultiplySplit(target, source, panels, panel0, panel1, packed, epilogue, out);
  }
  for (int64_t panel = panel0; panel < panel1; ++panel) {
    MultiplyPanel(target, source, panels, panel, packed, epilogue, out,
                  AheadOf(source, panels, panel == panel0));
  }
}

BlockScratch::BlockScratch(Target target, const TapLattice& lattice, const Panels& panels,
                           Carver& carver)
    : whole(SplitsPictures(lattice, panels.shape())) {
  const int64_t taps = SumTaps(lattice), depth = SumDepth(lattice);
  out = carver.Take<float*>(BlockPixels(target, lattice, panels.shape()));
  if (whole) {
    rows = nullptr, zeros = patches = nullptr;
    halves = carver.Take<std::byte>(SplitPicture(lattice).ScratchBytes());
    return;
  }
  rows = carver.Take<const float*>(taps * BlockRows(target));
  zeros = carver.Take(depth);
  patches = carver.Take(MergesTaps(lattice) ? taps * BlockRows(target) * depth : 0);
  halves = carver.Take<std::byte>(SplitScratchBytes(target, taps, depth, panels));
}

ProductRows PrepareRows(Target target, const TapLattice& lattice, const float* src, int64_t group,
                        int64_t first, int64_t pixels, const BlockScratch& scratch) {
  if (scratch.whole) {
    return {.pixels = pixels,
            .groups = SplitPicture(lattice).Prepare(src, first, pixels, scratch.halves)};
  }
  std::fill_n(scratch.zeros, SumDepth(lattice), 0.0f);
  SumRows(lattice, src, scratch.zeros, group * lattice.depth, first, pixels, 0, lattice.h.taps,
          BlockRows(target), scratch.patches, scratch.rows);
  return {scratch.rows, pixels, SumTaps(lattice), SumDepth(lattice), scratch.halves};
}

}  // namespace ninc::cpu
