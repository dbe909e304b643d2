// Transforms weights into frequencies, a panel's columns at a time: the taps of one channel are
// gathered from K×C×R×S into rows of columns, over which the transform's vectors run.
#include "cpu/conv2d/winograd/winograd_pack.h"

#include "base/threads/thread_pool.h"
#include "cpu/conv2d/winograd/winograd_product.h"
#include "cpu/conv2d/winograd/winograd_transform.h"
#include "cpu/schedule/blocks.h"

namespace ninc::cpu {
namespace {

constexpr int64_t kChannelsInTask = 16;

struct Product {
  int64_t depth, columns;
};
Product ProductOf(const Conv2dProblem& p, Pass pass) {
  if (pass == Pass::kBackwardData) return {p.out_channels, p.input.c};
  return {p.input.c, p.out_channels};
}

// taps(t, j) = weight of tap t between channel `depth` and column column0 + j, times its scale.
void GatherTaps(const Conv2dProblem& p, Pass pass, int64_t depth, int64_t column0, int64_t columns,
                int64_t width, const float* weight, const float* scale, float* taps) {
  const int64_t window = p.kernel_h * p.kernel_w;
  const bool forward = pass == Pass::kForward;
  const int64_t column_stride = forward ? p.input.c * window : window;
  const float* from =
      weight + depth * (forward ? window : p.input.c * window) + column0 * column_stride;
  for (int64_t j = 0; j < columns; ++j, from += column_stride) {
    const float factor = scale == nullptr ? 1.0f : scale[forward ? column0 + j : depth];
    for (int64_t t = 0; t < window; ++t) {
      taps[(forward ? t : window - 1 - t) * width + j] = from[t] * factor;
    }
  }
  for (int64_t t = 0; t < window; ++t) std::fill_n(taps + t * width + columns, width - columns, 0);
}

}  // namespace

size_t WinogradPackedBytes(const Conv2dPass& conv) {
  const Product product = ProductOf(conv.problem, conv.pass);
  const Panels panels(product.columns, Products(conv.target).shape);
  return sizeof(float) *
         static_cast<size_t>(conv.winograd.frequencies() * product.depth * panels.padded_columns());
}

void PackWinograd(const Conv2dPass& conv, const float* weight, const float* scale, float* packed,
                  int threads) {
  const WinogradShape& shape = conv.winograd;
  const Product product = ProductOf(conv.problem, conv.pass);
  const Slices slices(product.columns, Products(conv.target).shape);
  const Panels& panels = slices.panels();
  const int64_t chunks = CeilDiv(product.depth, kChannelsInTask);
  const auto transform = Transforms(conv.target, shape).weights;
  ParallelFor(threads, slices.count() * chunks, [&](int64_t task, int) {
    alignas(64) float taps[kMaxTaps * kMaxTileVectors * kMaxLanes];
    const float* rows[kMaxTaps];
    const int64_t slice = task / chunks, first = task % chunks * kChannelsInTask;
    const int64_t end = std::min(product.depth, first + kChannelsInTask);
    for (int64_t panel = slices.Panel(slice); panel < slices.Panel(slice + 1); ++panel) {
      const int64_t width = panels.Width(panel);
      for (int t = 0; t < shape.kernel * shape.kernel; ++t) rows[t] = taps + t * width;
      float* out = packed + shape.frequencies() * product.depth * slices.Column(slice) +
                   product.depth * (panels.Column(panel) - slices.Column(slice));
      for (int64_t d = first; d < end; ++d) {
        GatherTaps(conv.problem, conv.pass, d, panels.Column(panel), panels.Columns(panel), width,
                   weight, scale, taps);
        transform(rows, width, out + d * width, product.depth * slices.Width(slice));
      }
    }
  });
}

}  // namespace ninc::cpu
