// A stretch of steps at a time, so that what the split rows take stays in L2 beside a panel's
// share; sums between stretches are kept in float32 outside of the tile registers.
#include "cpu/conv2d/direct/conv2d_split.h"

#include <algorithm>

#include "cpu/conv2d/common/conv2d_rows.h"
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

  int64_t tap_steps, steps, stretch;
};

// Steps [first, end) of the block's rows.
void SplitRows(Target target, const ProductRows& source, const SplitSum& sum, int64_t first,
               int64_t end) {
  for (int64_t step = first; step < end;) {
    const int64_t tap = step / sum.tap_steps, offset = step % sum.tap_steps;
    const int64_t count = std::min(end - step, sum.tap_steps - offset);
    const int64_t term = offset * kSplitTerms;
    SplitLeft(source.rows + tap * BlockRows(target), term, source.pixels,
              std::min(source.depth - term, count * kSplitTerms), sum.group_bytes(),
              source.halves + SplitBytes(kSplitRows, (step - first) * kSplitTerms));
    step += count;
  }
}

}  // namespace

size_t SplitScratchBytes(Target target, int64_t taps, int64_t depth, const Panels& panels) {
  if (!panels.shape().split) return 0;
  const SplitSum sum(taps, depth);
  const int64_t groups = CeilDiv(BlockRows(target), kSplitRows);
  const int64_t sums = sum.steps > sum.stretch ? panels.count() * CeilDiv(groups, 2) : 1;
  return Carver::Bytes<std::byte>(groups * sum.group_bytes()) +
         Carver::Bytes<float>(sums * kSplitSums);
}

void MultiplySplit(Target target, const ProductRows& source, const Panels& panels, int64_t panel0,
                   int64_t panel1, const float* packed, const Epilogue& epilogue,
                   float* const* out) {
  const SplitSum sum(source.taps, source.depth);
  const int64_t groups = CeilDiv(source.pixels, kSplitRows);
  float* const sums = reinterpret_cast<float*>(
      source.halves + CeilDiv(BlockRows(target), kSplitRows) * sum.group_bytes());
  const SplitTiles tiles;
  // At least once: a sum without terms still writes its zeros.
  for (int64_t first = 0; first == 0 || first < sum.steps; first += sum.stretch) {
    const int64_t end = std::min(sum.steps, first + sum.stretch);
    const bool last = end == sum.steps;
    SplitRows(target, source, sum, first, end);
    for (int64_t panel = panel0; panel < panel1; ++panel) {
      const int64_t width = panels.Width(panel);
      const float* right =
          packed + sum.steps * kSplitTerms * panels.Column(panel) + first * kSplitTerms * width;
      for (int64_t group = 0; group < groups; group += 2) {
        const bool kept = sum.steps > sum.stretch;
        float* const to = sums + (kept ? (panel * CeilDiv(groups, 2) + group / 2) * kSplitSums : 0);
        SplitProduct({.left = source.halves + group * sum.group_bytes(),
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

}  // namespace ninc::cpu
