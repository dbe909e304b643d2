#include "kernels/conv2d_block.h"

#include <algorithm>

#include "kernels/conv2d_rows.h"
#include "kernels/tile.h"

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

// All tiles of one block and one panel. fetch: each tile fetches the next one's rows, or its share
// of the next block's.
void MultiplyPanel(const ProductRows& source, const Panels& panels, int64_t panel,
                   const float* packed, const Epilogue& epilogue, float* const* out, bool fetch) {
  const TileKernels& kernels = Tiles();
  const int64_t width = panels.Width(panel);
  const Stretches stretches(source.taps, source.depth, width);
  const float* weights = packed + source.taps * source.depth * panels.Column(panel);
  for (int64_t index = 0; index < stretches.count(); ++index) {
    const Stretch stretch = stretches[index];
    const float* b = weights + (stretch.tap * source.depth + stretch.offset) * width;
    for (int64_t m = 0; m < source.pixels; m += kernels.shape.rows) {
      const int64_t rows = std::min<int64_t>(kernels.shape.rows, source.pixels - m);
      const float* const* next = source.next != nullptr ? source.next + m : source.rows + m + rows;
      const int64_t last = source.next != nullptr ? m + kNextRows : m + rows + kNextRows;
      kernels.tile[rows - 1][panels.Vectors(panel) - 1]({
          .rows = source.rows + stretch.tap * BlockRows() + m,
          .row_stride = BlockRows(),
          .row_offset = stretch.offset,
          .next = fetch && last <= source.pixels ? next : nullptr,
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
    }
  }
}

int64_t RowPointers(const TapLattice& lattice) { return SumTaps(lattice) * BlockRows(); }
int64_t PatchFloats(const TapLattice& lattice) {
  return MergesTaps(lattice) ? RowPointers(lattice) * SumDepth(lattice) : 0;
}

}  // namespace

int64_t BlockRows() { return kTilesPerBlock * Tiles().shape.rows; }

void MultiplyBlock(const ProductRows& source, const Panels& panels, int64_t panel0, int64_t panel1,
                   const float* packed, const Epilogue& epilogue, float* const* out) {
  for (int64_t panel = panel0; panel < panel1; ++panel) {
    // A 1×1 layer's rows come from memory the first time (large batches gain 15 %); a larger
    // kernel's neighbours have read most of them already.
    const bool fetch = source.taps == 1 && panel == panel0;
    MultiplyPanel(source, panels, panel, packed, epilogue, out, fetch);
  }
}

size_t BlockScratch::Bytes(const TapLattice& lattice) {
  return Carver::Bytes<float*>(RowPointers(lattice)) + Carver::Bytes<float*>(BlockRows()) +
         Carver::Bytes<float>(SumDepth(lattice)) + Carver::Bytes<float>(PatchFloats(lattice));
}

BlockScratch::BlockScratch(const TapLattice& lattice, std::byte* memory) {
  Carver carver(memory);
  rows = carver.Take<const float*>(RowPointers(lattice));
  out = carver.Take<float*>(BlockRows());
  zeros = carver.Take<float>(SumDepth(lattice));
  patches = carver.Take<float>(PatchFloats(lattice));
}

ProductRows PrepareRows(const TapLattice& lattice, const float* src, int64_t group, int64_t first,
                        int64_t pixels, const BlockScratch& scratch) {
  const int64_t channel0 = group * lattice.depth;
  std::fill_n(scratch.zeros, SumDepth(lattice), 0.0f);
  if (MergesTaps(lattice)) {
    MergedTapRows(lattice, src, scratch.zeros, channel0, first, pixels, 0, lattice.h.taps,
                  BlockRows(), scratch.patches, scratch.rows);
  } else {
    TapRows(lattice, src, scratch.zeros, channel0, first, pixels, 0, lattice.h.taps, BlockRows(),
            scratch.rows);
  }
  return {scratch.rows, pixels, SumTaps(lattice), SumDepth(lattice)};
}

}  // namespace ninc::cpu
