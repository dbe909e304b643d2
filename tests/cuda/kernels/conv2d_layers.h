// The convolutions of NIN-CIFAR, and what the device does for each: counted by the emulated driver
// beside the least that the arithmetic and the tiling ask for.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "counts.h"
#include "cuda/compile.h"
#include "cuda/conv2d/conv2d_narrow.h"
#include "cuda/conv2d/conv2d_pass.h"
#include "support/step_check.h"

namespace ninc::cuda {

inline constexpr ConvMethod kPrecisions[] = {ConvMethod::kAuto, ConvMethod::kDirect,
                                             ConvMethod::kReduced};

inline const char* NameOf(ConvMethod precision) {
  return precision == ConvMethod::kDirect    ? "strict"
         : precision == ConvMethod::kReduced ? "fast"
                                             : "float32";
}

// Scratch memory of a step's kernel.
inline size_t ScratchBytes(const auto& step) { return Compile(step, {}).value()->scratch.shared; }

struct NamedConvolution {
  const char* name;
  Conv2dProblem problem;
};

// A convolution of square pictures; 1×1, or with the padding that keeps the size, or of stride 4.
inline Conv2dProblem Convolution(int64_t batch, ConvMethod precision, int64_t size,
                                 int64_t channels, int64_t out_channels, int64_t kernel,
                                 int64_t stride = 1) {
  Conv2dProblem p;
  p.input = {batch, size, size, channels};
  p.out_channels = out_channels;
  p.kernel_h = p.kernel_w = kernel;
  p.stride_h = p.stride_w = stride;
  const int64_t padding = stride == 1 ? kernel / 2 : 0;
  p.padding = {padding, padding, padding, padding};
  p.method = precision;
  return p;
}

// One of each shape; the first layer sees pictures, so its data gradient is never asked for.
inline std::vector<NamedConvolution> NinCifarConvolutions(int64_t batch, ConvMethod precision) {
  const auto layer = [&](int64_t size, int64_t channels, int64_t out_channels, int64_t kernel) {
    return Convolution(batch, precision, size, channels, out_channels, kernel);
  };
  return {{"conv1", layer(32, 3, 192, 5)},          {"cccp1", layer(32, 192, 160, 1)},
          {"cccp2", layer(32, 160, 96, 1)},         {"conv2", layer(16, 96, 192, 5)},
          {"cccp3, cccp4", layer(16, 192, 192, 1)}, {"conv3", layer(8, 192, 192, 3)},
          {"cccp5", layer(8, 192, 192, 1)},         {"cccp6", layer(8, 192, 10, 1)}};
}

// Of a kernel's positions over all rows of the pass's product, those that fall into the picture:
// what lies outside is zeros that nobody reads.
inline double ShareInside(const Conv2dProblem& p, Pass pass) {
  const bool data = pass == Pass::kBackwardData;
  const auto axis = [&](int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation,
                        int64_t padding) {
    int64_t inside = 0;
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t r = 0; r < kernel; ++r) {
        const int64_t at = o * stride + r * dilation - padding;
        inside += at >= 0 && at < in;
      }
    }
    return static_cast<double>(inside) / static_cast<double>((data ? in : out) * kernel);
  };
  const Shape out = p.output();
  return axis(p.input.h, out.h, p.kernel_h, p.stride_h, p.dilation_h, p.padding.top) *
         axis(p.input.w, out.w, p.kernel_w, p.stride_w, p.dilation_w, p.padding.left);
}

// What a pass must do at the least.
struct Least {
  double multiply_adds;  // once a product, however many tensor-core products it takes
  double sectors;        // of 32 bytes: every block's operands once, and the results
  double memory_bytes;   // every array once, as if caches were without end
  double tiled;          // multiply-adds where warp tiles and stages are filled up with zeros
  double blocks;         // of the kernel that multiplies
};

// Floats that a weight gradient's chunks come to.
inline double PartialSums(const Conv2dProblem& p) {
  const step::Conv2dBackwardWeights step{p, 0, 1, 2, 3};
  return static_cast<double>(ScratchBytes(step)) / sizeof(float);
}

// conv2d_narrow.cu: channels of x for columns, no padding, dy once for each block beside another.
inline Least LeastOfNarrow(const Conv2dProblem& p, Pass pass) {
  const auto x = static_cast<double>(p.input.size()), dy = static_cast<double>(p.output().size());
  const auto weight = static_cast<double>(p.weight_size());
  const int64_t beside = CeilDiv(p.input.c, NarrowThreads(p.input.c));
  const double products = dy * static_cast<double>(p.input.c);
  double floats = x + dy * static_cast<double>(beside), arrays = x + dy + weight;
  double chunks = static_cast<double>(CeilDiv(p.input.pixels(), kNarrowPixels));
  if (pass == Pass::kBackwardWeights) {
    const double partial = PartialSums(p);
    chunks = partial / static_cast<double>((p.input.c + 1) * p.out_channels);
    floats += 2 * partial + weight;
  } else {  // each block reads the weights; and what says where gradients stop
    floats += weight * chunks + x;
    arrays += x;
  }
  return {products, floats * sizeof(float) / 32, arrays * sizeof(float), products,
          chunks * static_cast<double>(beside)};
}

inline Least LeastOf(const Conv2dProblem& p, Pass pass) {
  const Conv2dPass conv(p, pass);
  const ProductShape& shape = conv.shape;
  const double products =
      static_cast<double>(shape.rows) * static_cast<double>(shape.columns) * shape.reduction();
  const bool weights = pass == Pass::kBackwardWeights;
  if (conv.kernels == Conv2dPass::Kernels::kNarrow) return LeastOfNarrow(p, pass);
  const BlockSize& block = conv.block();
  // A weight gradient's blocks have channels of x for rows, and sum over pixels.
  const int64_t rows = weights ? shape.reduction() : shape.rows;
  const int64_t depth = weights ? shape.rows : shape.reduction();
  const int64_t row_tiles = CeilDiv(rows, block.rows);
  const int64_t column_tiles = CeilDiv(shape.columns, block.columns);
  double floats = static_cast<double>(depth * rows * column_tiles) * ShareInside(p, pass) +
                  static_cast<double>(depth * row_tiles * shape.columns);
  double arrays = static_cast<double>(p.input.size() + p.output().size() + p.weight_size());
  double blocks = static_cast<double>(row_tiles * column_tiles);
  if (weights) {  // chunks' sums are written and read, then the gradient is written
    const double partial = PartialSums(p);
    floats += 2 * partial + static_cast<double>(p.weight_size());
    blocks *= partial / static_cast<double>((shape.reduction() + 1) * shape.packed_columns());
  } else {
    floats += static_cast<double>(rows * shape.columns);
  }
  const auto tiled = static_cast<double>(
      weights ? RoundUp(rows, kWarpTile) * shape.packed_columns() * RoundUp(depth, kDepth)
      : conv.tile == BlockTile::k64x16
          ? rows * shape.columns * shape.stages() * kDepth
          : RoundUp(rows, kWarpTile) * shape.packed_columns() * shape.stages() * kDepth);
  if (pass == Pass::kBackwardData) {  // and what says where gradients stop
    floats += static_cast<double>(p.input.size());
    arrays += static_cast<double>(p.input.size());
  }
  return {products, floats * sizeof(float) / 32, arrays * sizeof(float), tiled, blocks};
}

// Runs a step on the emulated driver and returns the driver's report.
inline std::string ReportOf(test::StepCall& call, const StepOp& step,
                            const std::vector<StepArray>& arrays) {
  emulator::Control::Set("count", 1);
  emulator::Control::ResetCounters();
  call.Run(step, arrays);
  emulator::Control::Set("count", 0);
  return emulator::Control::Report();
}

inline StepArray Ones(test::StepCall& call, int64_t count) {
  return call.In(std::vector<float>(count, 1.0f));
}

// One pass as in training, on arrays of ones.
inline std::string ReportOfPass(const Conv2dProblem& p, Pass pass) {
  test::StepCall call(test::Gpu());
  const StepArray x = Ones(call, p.input.size()), weight = Ones(call, p.weight_size());
  if (pass == Pass::kForward) {
    const step::Conv2d step{p, 0, 1, 2, kRelu, 3};
    return ReportOf(call, step,
                    {x, weight, Ones(call, p.out_channels), call.Out(p.output().size())});
  }
  const StepArray dy = Ones(call, p.output().size());
  if (pass == Pass::kBackwardData) {
    const step::Conv2dBackwardData step{p, 0, 1, 2, 3, kRelu};
    return ReportOf(call, step, {dy, weight, call.Out(p.input.size()), x});
  }
  const step::Conv2dBackwardWeights step{p, 0, 1, 2, 3};
  return ReportOf(call, step, {x, dy, call.Out(p.weight_size()), call.Out(p.out_channels)});
}

inline Counts CountPass(const Conv2dProblem& p, Pass pass) {
  return ReadCounts(ReportOfPass(p, pass));
}

inline const char* NameOf(Pass pass) {
  return pass == Pass::kForward        ? "forward"
         : pass == Pass::kBackwardData ? "backward data"
                                       : "backward weights";
}

}  // namespace ninc::cuda
