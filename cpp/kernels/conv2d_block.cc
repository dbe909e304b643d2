#include "kernels/conv2d_block.h"

#include <algorithm>

#include "kernels/conv2d_rows.h"
#include "kernels/split_tile.h"
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

// All tiles of one block and one panel. fetch: each tile fetches the next one's rows.
void MultiplyPanel(const ProductRows& source, const Panels& panels, int64_t panel,
                   const float* packed, const Epilogue& epilogue, float* const* out, bool fetch) {
  const TileKernels& kernels = Tiles();
  const int64_t width = panels.Width(panel);
  const int64_t tile_rows = kernels.shape.RowsOf(panels.Vectors(panel));
  const Stretches stretches(source.taps, source.depth, width);
  const float* weights = packed + source.taps * source.depth * panels.Column(panel);
  for (int64_t index = 0; index < stretches.count(); ++index) {
    const Stretch stretch = stretches[index];
    const float* b = weights + (stretch.tap * source.depth + stretch.offset) * width;
    for (int64_t m = 0; m < source.pixels; m += tile_rows) {
      const int64_t rows = std::min<int64_t>(tile_rows, source.pixels - m);
      const bool next = fetch && m + rows + kNextRows <= source.pixels;
      kernels.tile[rows - 1][panels.Vectors(panel) - 1]({
          .rows = source.rows + stretch.tap * BlockRows() + m,
          .row_stride = BlockRows(),
          .row_offset = stretch.offset,
          .next = next ? source.rows + m + rows : nullptr,
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

// The terms of a split sum that are taken at a time: a block of them and a panel's share L2.
constexpr int64_t kSplitStretch = 32;  // steps

// The steps of a product: whole taps, each of them padded.
struct SplitSum {
  SplitSum(int64_t taps, int64_t depth)
      : tap_steps(SplitSteps(depth)), steps(taps * tap_steps), stretch(std::clamp<int64_t>(steps, 1, kSplitStretch)) {}
  int64_t group_bytes() const { return SplitBytes(kSplitRows, stretch * kSplitTerms); }

  int64_t tap_steps, steps, stretch;
};

// Steps [first, end) of the block's rows.
void SplitRows(const ProductRows& source, const SplitSum& sum, int64_t first, int64_t end) {
  for (int64_t step = first; step < end;) {
    const int64_t tap = step / sum.tap_steps, offset = step % sum.tap_steps;
    const int64_t count = std::min(end - step, sum.tap_steps - offset);
    const int64_t term = offset * kSplitTerms;
    SplitLeft(source.rows + tap * BlockRows(), term, source.pixels,
              std::min(source.depth - term, count * kSplitTerms), sum.group_bytes(),
              source.split + SplitBytes(kSplitRows, (step - first) * kSplitTerms));
    step += count;
  }
}

// MultiplyBlock with split products. Sums of more than one stretch wait in float32.
void MultiplySplit(const ProductRows& source, const Panels& panels, int64_t panel0, int64_t panel1,
                   const float* packed, const Epilogue& epilogue, float* const* out) {
  const SplitSum sum(source.taps, source.depth);
  const int64_t groups = CeilDiv(source.pixels, kSplitRows);
  float* const sums = reinterpret_cast<float*>(source.split + CeilDiv(BlockRows(), kSplitRows) *
                                                                  sum.group_bytes());
  const SplitTiles tiles;
  // At least once: a sum without terms still writes its zeros.
  for (int64_t first = 0; first == 0 || first < sum.steps; first += sum.stretch) {
    const int64_t end = std::min(sum.steps, first + sum.stretch);
    const bool last = end == sum.steps;
    SplitRows(source, sum, first, end);
    for (int64_t panel = panel0; panel < panel1; ++panel) {
      const int64_t width = panels.Width(panel);
      const float* right = packed + sum.steps * kSplitTerms * panels.Column(panel) +
                           first * kSplitTerms * width;
      for (int64_t group = 0; group < groups; group += 2) {
        const bool kept = sum.steps > sum.stretch;
        float* const to =
            sums + (kept ? (panel * CeilDiv(groups, 2) + group / 2) * kSplitSums : 0);
        SplitProduct({.left = source.split + group * sum.group_bytes(),
                      .group_bytes = sum.group_bytes(),
                      .right = reinterpret_cast<const std::byte*>(right),
                      .steps = end - first,
                      .groups = static_cast<int>(std::min<int64_t>(2, groups - group)),
                      .vectors = panels.Vectors(panel),
                      .sums = to,
                      .first = first == 0});
        if (!last) continue;
        const int64_t m = group * kSplitRows;
        SplitEpilogue({.out = out + m,
                       .column = panels.Column(panel),
                       .columns = panels.Columns(panel),
                       .bias = epilogue.bias,
                       .activation = epilogue.activation,
                       .mask_base = epilogue.x,
                       .out_base = epilogue.dx},
                      to, width, std::min(2 * kSplitRows, source.pixels - m));
      }
    }
  }
}

int64_t RowPointers(const TapLattice& lattice) { return SumTaps(lattice) * BlockRows(); }
int64_t PatchFloats(const TapLattice& lattice) {
  return MergesTaps(lattice) ? RowPointers(lattice) * SumDepth(lattice) : 0;
}

}  // namespace

size_t SplitScratchBytes(int64_t taps, int64_t depth, const Panels& panels) {
  if (!panels.shape().split) return 0;
  const SplitSum sum(taps, depth);
  const int64_t groups = CeilDiv(BlockRows(), kSplitRows);
  const int64_t sums = sum.steps > sum.stretch ? panels.count() * CeilDiv(groups, 2) : 1;
  return Carver::Bytes<std::byte>(groups * sum.group_bytes()) +
         Carver::Bytes<float>(sums * kSplitSums);
}

int64_t BlockRows() { return kTilesPerBlock * Tiles().shape.rows; }

void MultiplyBlock(const ProductRows& source, const Panels& panels, int64_t panel0, int64_t panel1,
                   const float* packed, const Epilogue& epilogue, float* const* out) {
  if (panels.shape().split) {
    return MultiplySplit(source, panels, panel0, panel1, packed, epilogue, out);
  }
  for (int64_t panel = panel0; panel < panel1; ++panel) {
    // A 1×1 layer's rows come from memory the first time (large batches gain 15 %); a larger
    // kernel's neighbours have read most of them already.
    const bool fetch = source.taps == 1 && panel == panel0;
    MultiplyPanel(source, panels, panel, packed, epilogue, out, fetch);
  }
}

size_t BlockScratch::Bytes(const TapLattice& lattice, const Panels& panels) {
  return Carver::Bytes<float*>(RowPointers(lattice)) + Carver::Bytes<float*>(BlockRows()) +
         Carver::Bytes<float>(SumDepth(lattice)) + Carver::Bytes<float>(PatchFloats(lattice)) +
         SplitScratchBytes(SumTaps(lattice), SumDepth(lattice), panels);
}

BlockScratch::BlockScratch(const TapLattice& lattice, const Panels& panels, std::byte* memory) {
  Carver carver(memory);
  rows = carver.Take<const float*>(RowPointers(lattice));
  out = carver.Take<float*>(BlockRows());
  zeros = carver.Take<float>(SumDepth(lattice));
  patches = carver.Take<float>(PatchFloats(lattice));
  split = carver.Take<std::byte>(static_cast<int64_t>(
      SplitScratchBytes(SumTaps(lattice), SumDepth(lattice), panels)));
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
  return {scratch.rows, pixels, SumTaps(lattice), SumDepth(lattice), scratch.split};
}

}  // namespace ninc::cpu
