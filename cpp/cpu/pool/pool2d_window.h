// Which input pixels a pooling window holds, and which windows hold an input pixel.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/schedule/blocks.h"
#include "ninc/problem.h"

namespace ninc::cpu {

// One of the two axes.
struct PoolAxis {
  int64_t in, out, kernel, stride, padding;

  // Where the window of output o begins, were there no border.
  int64_t Start(int64_t o) const { return o * stride - padding; }
  // The window of output o, clipped to the picture; never empty.
  Span Window(int64_t o) const {
    const int64_t begin = Start(o);
    return {std::max<int64_t>(begin, 0), std::min(begin + kernel, in)};
  }
  // The outputs whose windows meet [span.begin, span.end).
  Span Reaching(Span span) const {
    const int64_t before = span.begin + padding - kernel;  // the last start too early
    const int64_t begin = before < 0 ? 0 : before / stride + 1;
    return {begin, std::min(out, (span.end - 1 + padding) / stride + 1)};
  }
  // What an average divides by along this axis.
  int64_t Extent(int64_t o, bool count_include_pad) const {
    const int64_t begin = Start(o);
    if (count_include_pad) return std::min(begin + kernel, in + padding) - begin;
    return std::min(begin + kernel, in) - std::max<int64_t>(begin, 0);
  }
};

struct PoolWindows {
  explicit PoolWindows(const Pool2dProblem& p)
      : out(p.output()),
        images(p.input.n),
        h{p.input.h, out.h, p.kernel_h, p.stride_h, p.padding_h},
        w{p.input.w, out.w, p.kernel_w, p.stride_w, p.padding_w},
        count_include_pad(p.count_include_pad) {}

  Span Rows(int64_t p) const { return h.Window(p); }
  Span Columns(int64_t q) const { return w.Window(q); }
  Span ReachingRows(Span span) const { return h.Reaching(span); }
  Span ReachingColumns(Span span) const { return w.Reaching(span); }
  float InverseArea(int64_t p, int64_t q) const {
    return 1.0f /
           static_cast<float>(h.Extent(p, count_include_pad) * w.Extent(q, count_include_pad));
  }

  // Bands of input rows for tasks that own what they write. One band an image where there are
  // images enough to share; bands of a small batch are no lower than four strides, since windows
  // across their borders cost twice.
  int64_t Bands() const {
    const int64_t wanted = (kTasks + images - 1) / std::max<int64_t>(1, images);
    return std::max<int64_t>(1, std::min(wanted, h.in / (4 * h.stride)));
  }
  Span Band(int64_t band) const { return {band * h.in / Bands(), (band + 1) * h.in / Bands()}; }

  static constexpr int64_t kTasks = 64;
  Shape out;  // N×P×Q×C
  int64_t images;
  PoolAxis h, w;
  bool count_include_pad;
};

}  // namespace ninc::cpu
