// A stretch of steps at a time, so that what the split rows take stays in L2 beside a panel's
// share; sums between stretches are kept in float32 outside of the tile registers.
#include "cpu/conv2d/direct/conv2d_split.h"

#include <algorithm>

#include "base/carver.h"
#include "cpu/schedule/blocks.h"
#include "cpu/tile/split_tile.h"

namespace ninc::cpu {
namespace {

// The terms of a split sum that are taken at a time: a block of them and a panel's share L2.
constexpr int64_t kSplitStretch = 32;  // steps

// The steps of a product: whole taps, each of them padded.
struct SplitSum {
  SplitSum(int64_t taps, int64_t depth)
      : tap_steps(SplitSteps(depth)),
        steps(taps * tap_steps),
        stretch(std::clamp<int64_t>(steps, 1, kSplitStretch)) {}
  int64_t group_bytes() const { return SplitBytes(kSplitRows, stretch * kSplitTerms); }
  bool waits() const { return steps > stretch; }  // from one stretch to the next

  int64_t tap_steps, steps, stretch;
};

// What ProductRows::halves holds.
struct SplitScratch {
  SplitScratch(Target target, const SplitSum& sum, const Panels& panels, Carver& carver) {
    const int64_t groups = CeilDiv(BlockRows(target), kSplitRows);
    rows = carver.Take<std::byte>(groups * sum.group_bytes());
    sums = carver.Take(kSplitSums * (sum.waits() ? panels.count() * CeilDiv(groups, 2) : 1));
  }

  std::byte* rows;  // [groups of rows][group_bytes]: a stretch of the block's rows, split
  float* sums;      // [panel][two groups][kSplitSums] where they wait, else of one product
};

// Steps [first, end) of the block's rows.
void SplitRows(Target target, const ProductRows& source, const SplitSum& sum, int64_t first,
               int64_t end, std::byte* to) {
  for (int64_t step = first; step < end;) {
    const int64_t tap = step / sum.tap_steps, offset = step % sum.tap_steps;
    const int64_t count = std::min(end - step, sum.tap_steps - offset);
    const int64_t term = offset * kSplitTerms;
    SplitLeft(source.rows + tap * BlockRows(target), term, source.pixels,
              std::min(source.depth - term, count * kSplitTerms), sum.group_bytes(),
              to + SplitBytes(kSplitRows, (step - first) * kSplitTerms));
    step += count;
  }
}

}  // namespace

size_t SplitScratchBytes(Target target, int64_t taps, int64_t depth, const Panels& panels) {
  return panels.shape().split ? BytesOf<SplitScratch>(target, SplitSum(taps, depth), panels) : 0;
}

void MultiplySplit(Target target, const ProductRows& source, const Panels& panels, int64_t panel0,
                   int64_t panel1, const float* packed, const Epilogue& epilogue,
                   float* const* out) {
  const SplitSum sum(source.taps, source.depth);
  const int64_t groups = CeilDiv(source.pixels, kSplitRows);
  Carver carver(source.halves);
  const SplitScratch scratch(target, sum, panels, carver);
  const SplitTiles tiles;
  // At least once: a sum without terms still writes its zeros.
  for (int64_t first = 0; first == 0 || first < sum.steps; first += sum.stretch) {
    const int64_t end = std::min(sum.steps, first + sum.stretch);
    const bool last = end == sum.steps;
    SplitRows(target, source, sum, first, end, scratch.rows);
    for (int64_t panel = panel0; panel < panel1; ++panel) {
      const int64_t width = panels.Width(panel);
      const float* right =
          packed + sum.steps * kSplitTerms * panels.Column(panel) + first * kSplitTerms * width;
      for (int64_t group = 0; group < groups; group += 2) {
        const int64_t place = sum.waits() ? panel * CeilDiv(groups, 2) + group / 2 : 0;
        float* const to = scratch.sums + place * kSplitSums;
        SplitProduct({.left = scratch.rows + group * sum.group_bytes(),
                      .group_bytes = sum.group_bytes(),
                      .right = reinterpret_cast<const std::byte*>(right),
                      .steps = end - first,
                      .groups = static_cast<int>(std::min<int64_t>(2, groups - group)),
                      .vectors = panels.Vectors(panel),
                      .sums = to,
                      .first = first == 0});
        if (!last) continue;
        const int64_t m = group * kSplitRows;
        SplitEpilogue(SplitOutput(epilogue, panels, panel, out + m), to, width,
                      std::min(2 * kSplitRows, source.pixels - m));
      }
    }
  }
}

}  // namespace ninc::cpu
