// How a convolution, forward or backward data, becomes sums over taps for the register tile.
//
// Both passes read a source picture and write a lattice of destination pixels, every pixel with the
// same taps:
//
//     dst(n, h0 + i·step, w0 + j·step, col) =
//         sum over taps (a, b), depth d of src(n, i·src_step + dh(a), j·src_step + dw(b), d)
//                                          * weight(tap (a, b), d, col)
//
// Forward has one lattice, all of y, with src = x and R·S taps. Backward data has one for each
// residue of h and w modulo the stride, with src = dy: x's pixel (h, w) meets only the taps r with
// h + padding - r·dilation divisible by the stride, and those form an arithmetic progression. With
// stride 1 that is a convolution with mirrored weights; with stride 2 it is four of them, each with
// a quarter of the taps, and no multiplication with an inserted zero.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "ninc/problem.h"

namespace ninc::cpu {

// One dimension of a lattice and its taps.
struct TapAxis {
  int64_t count = 0;     // destination positions
  int64_t first = 0;     // the first of them in the destination
  int64_t step = 1;      // from one to the next
  int64_t src_step = 1;  // the source moves so far meanwhile
  int64_t taps = 0;
  int64_t kernel0 = 0;  // tap a is the kernel's row kernel0 + a·kernel_step ...
  int64_t kernel_step = 1;
  int64_t offset0 = 0;  // ... and reads the source at i·src_step + offset0 + a·offset_step
  int64_t offset_step = 1;
};

// The axis of y's positions; reads x.
inline TapAxis ForwardAxis(int64_t out, int64_t kernel, int64_t stride, int64_t dilation,
                           int64_t padding) {
  return {.count = out,
          .first = 0,
          .step = 1,
          .src_step = stride,
          .taps = kernel,
          .kernel0 = 0,
          .kernel_step = 1,
          .offset0 = -padding,
          .offset_step = dilation};
}

// The axis of x's positions congruent to `phase` modulo the stride; reads dy.
inline TapAxis BackwardAxis(int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                            int64_t padding, int64_t phase) {
  TapAxis axis;
  axis.count = phase < in ? (in - phase + stride - 1) / stride : 0;
  axis.first = phase;
  axis.step = stride;
  axis.src_step = 1;
  // Taps r with (phase + padding - r·dilation) ≡ 0 modulo the stride; they repeat every
  // stride / gcd(stride, dilation).
  axis.kernel_step = stride / std::gcd(stride, dilation);
  axis.kernel0 = 0;
  const int64_t candidates = std::min(axis.kernel_step, kernel);
  while (axis.kernel0 < candidates && (phase + padding - axis.kernel0 * dilation) % stride != 0) {
    ++axis.kernel0;
  }
  if (axis.kernel0 >= candidates) return axis;  // the gradient is zero
  axis.taps = (kernel - axis.kernel0 + axis.kernel_step - 1) / axis.kernel_step;
  axis.offset0 = (phase + padding - axis.kernel0 * dilation) / stride;
  axis.offset_step = -axis.kernel_step * dilation / stride;
  return axis;
}

// One lattice of one pass. All groups share it.
struct TapLattice {
  TapAxis h, w;
  Shape src, dst;       // whole pictures; c counts all groups' channels
  int64_t depth = 0;    // source channels a group
  int64_t columns = 0;  // destination channels a group
  int64_t taps() const { return h.taps * w.taps; }
  int64_t rows() const { return dst.n * h.count * w.count; }
};

// Residues modulo the stride that positions of x have; a stride may be far larger than the picture.
inline int64_t Phases(int64_t stride, int64_t in) {
  return std::min(stride, std::max<int64_t>(1, in));
}

inline int64_t LatticeCount(const Conv2dProblem& p, Pass pass) {
  if (pass == Pass::kForward) return 1;
  return Phases(p.stride_h, p.input.h) * Phases(p.stride_w, p.input.w);
}

inline TapLattice MakeLattice(const Conv2dProblem& p, Pass pass, int64_t index) {
  TapLattice lattice;
  if (pass == Pass::kBackwardData) {
    lattice.src = p.output();
    lattice.dst = p.input;
    lattice.depth = p.group_out();
    lattice.columns = p.group_in();
    const int64_t columns = Phases(p.stride_w, p.input.w);
    lattice.h = BackwardAxis(p.input.h, p.kernel_h, p.stride_h, p.dilation_h, p.padding.top,
                             index / columns);
    lattice.w = BackwardAxis(p.input.w, p.kernel_w, p.stride_w, p.dilation_w, p.padding.left,
                             index % columns);
  } else {
    lattice.src = p.input;
    lattice.dst = p.output();
    lattice.depth = p.group_in();
    lattice.columns = p.group_out();
    lattice.h = ForwardAxis(p.out_h(), p.kernel_h, p.stride_h, p.dilation_h, p.padding.top);
    lattice.w = ForwardAxis(p.out_w(), p.kernel_w, p.stride_w, p.dilation_w, p.padding.left);
  }
  return lattice;
}

}  // namespace ninc::cpu
