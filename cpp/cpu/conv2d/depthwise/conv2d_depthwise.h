// Depthwise convolution, one filter a channel (groups = C = K): no sum over channels, so no matrix
// product. Vectors run over channels; each pass walks the same lattices and taps as the general
// one (conv2d_taps.h), a row of pixels at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/conv2d/common/conv2d_pass.h"
#include "cpu/conv2d/common/conv2d_taps.h"
#include "cpu/conv2d/depthwise/depthwise_row.h"
#include "cpu/schedule/blocks.h"
#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

inline constexpr char kDepthwiseName[] = "depthwise";

// All channels at once: a lattice whose "depth" is the picture's channels, and whose taps read the
// source from left to right and from top to bottom, also where the kernel is mirrored.
TapLattice DepthwiseLattice(const Conv2dPass& conv, int64_t index);

// Rows of one picture that lie one after the other, the first of which is the picture's row
// `first`. All that a kernel reads of the picture has to be among them.
struct DepthwiseRows {
  const float* rows = nullptr;
  int64_t first = 0;
};

// The rows of a source picture that rows [begin, end) of its lattice read, and the most that
// `count` rows read. Empty where all taps lie outside of the picture.
Span SourceRows(const TapLattice& lattice, Span rows);
int64_t MostSourceRows(const TapLattice& lattice, int64_t count);

// Where a kernel's rows lie in the picture for row i of the lattice.
struct DepthwiseLines {
  DepthwiseLines(const TapLattice& lattice, int64_t i, const DepthwiseRows& src);
  int64_t tap0 = 0;  // the first kernel row that lies in the picture
  int64_t rows = 0;  // those that do
  const float* line0;
  int64_t step;  // floats from a line to the next
};

// packed: lattice → tap → channel.
size_t DepthwisePackedBytes(const Conv2dPass& conv);
void PackDepthwise(const Conv2dPass& conv, const float* weight, const float* scale, float* packed);

// Pixels of one lattice, for schedules that take them block by block.
class DepthwiseBlock {
 public:
  DepthwiseBlock(const Conv2dPass& conv, int64_t lattice);

  const TapLattice& lattice() const { return lattice_; }
  size_t ScratchBytes() const;
  void Prepare(std::byte* memory) const;  // before the first run with this memory
  // Some pixels of row i of a picture's lattice; `out` is where the first goes, and each of the
  // others out_step floats behind the one before. packed: of this lattice.
  void RunRow(const DepthwiseRows& src, const float* packed, const float* bias,
              Activation activation, int64_t i, Span pixels, float* out, int64_t out_step,
              std::byte* memory) const;
  // Any pixels, which go to `out` side by side.
  void Run(const float* src, const float* packed, const float* bias, Activation activation,
           int64_t first, int64_t count, float* out, std::byte* memory) const;

 private:
  TapLattice lattice_;
  DepthwiseRowKernel kernel_;
};

WorkspaceSize DepthwiseWorkspace(const Conv2dPass& conv);
// Forward:       dst(pixel, c) = activation(bias(c) + sum over taps t of src_t(pixel, c) * w(t, c))
// Backward data: the same sum over the lattices of the data pass, src = dy, dst = dx.
void DepthwiseRun(const Conv2dPass& conv, const float* src, const float* packed, const float* bias,
                  Activation activation, float* dst, const Workspace& workspace);

// The weight gradient, for schedules that take dy row by row.
class DepthwiseWeightSums {
 public:
  explicit DepthwiseWeightSums(const Conv2dPass& conv);

  const TapLattice& lattice() const { return lattice_; }
  int64_t size() const { return lattice_.taps() * lattice_.src.c; }
  // sums(tap, c) += sum over row i's pixels j of x_tap(i, j, c) * dy(j, c)
  void AddRow(const DepthwiseRows& x, int64_t i, const float* dy, float* sums) const;
  // dweight(c, 0, r, s) = the sums of `count` tasks, `stride` floats apart, in their order.
  // total: room for size() floats.
  void Store(const float* sums, int64_t count, int64_t stride, float* total, float* dweight,
             int threads) const;

 private:
  Target target_;
  TapLattice lattice_;
};

WorkspaceSize DepthwiseWeightsWorkspace(const Conv2dPass& conv);
// dweight(c, 0, r, s) = sum over pixels m of x_tap(r, s)(m, c) * dy(m, c)
void DepthwiseBackwardWeights(const Conv2dPass& conv, const float* x, const float* dy,
                              float* dweight, const Workspace& workspace);

}  // namespace ninc::cpu
