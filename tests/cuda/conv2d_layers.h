// The convolutions of NIN-CIFAR, and what the device does for each: counted by the emulated driver
// beside the least that the arithmetic and the tiling ask for.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "convolutions.h"
#include "counts.h"
#include "cuda/conv2d_shape.h"

namespace ninc::cuda {

struct NamedConvolution {
  const char* name;
  Conv2dProblem problem;
};

// One of each shape; the first layers see pictures, so their data gradient is never asked for.
inline std::vector<NamedConvolution> NinCifarConvolutions(int64_t batch, ConvMethod precision) {
  const auto layer = [&](int64_t size, int64_t channels, int64_t out_channels, int64_t kernel) {
    Conv2dProblem p;
    p.input = {batch, size, size, channels};
    p.out_channels = out_channels;
    p.kernel_h = p.kernel_w = kernel;
    const int64_t padding = kernel / 2;
    p.padding = {padding, padding, padding, padding};
    p.method = precision;
    return p;
  };
  return {{"conv1", layer(32, 3, 192, 5)},         {"1x1 192-160", layer(32, 192, 160, 1)},
          {"1x1 160-96", layer(32, 160, 96, 1)},   {"conv2", layer(16, 96, 192, 5)},
          {"1x1 192-192", layer(16, 192, 192, 1)}, {"conv3", layer(8, 192, 192, 3)},
          {"1x1 192-10", layer(8, 192, 10, 1)}};
}

// What a pass must do at the least.
struct Least {
  double multiply_adds;  // once a product, however many tensor-core products it takes
  double sectors;        // of 32 bytes: every block's operands once, and the results
};

inline Least LeastOf(const Conv2dProblem& p, Pass pass) {
  const ProductShape shape = ShapeOf(p, pass);
  const double products =
      static_cast<double>(shape.rows) * static_cast<double>(shape.columns) * shape.reduction();
  const bool weights = pass == Pass::kBackwardWeights;
  const bool narrow = !weights && shape.columns <= kNarrowColumns;
  const BlockSize block =
      narrow ? BlockSize{kNarrowRows, kNarrowColumns} : SizeOf(ChooseBlockTile(shape.columns));
  // A weight gradient's blocks have channels of x for rows, and sum over pixels.
  const int64_t rows = weights ? shape.reduction() : shape.rows;
  const int64_t depth = weights ? shape.rows : shape.reduction();
  const int64_t row_tiles = CeilDiv(rows, block.rows);
  const int64_t column_tiles = CeilDiv(shape.columns, block.columns);
  double floats = static_cast<double>(depth) * (column_tiles * rows + row_tiles * shape.columns);
  if (weights) {  // chunks' sums are written and read, then the gradient is written
    const double partial = static_cast<double>(Conv2dWorkspace(p, pass).shared) / sizeof(float);
    floats += 2 * partial + static_cast<double>(p.weight_size());
  } else {
    floats += static_cast<double>(rows * shape.columns);
  }
  return {products, floats * sizeof(float) / 32};
}

// Runs one pass on the emulated driver, on arrays of ones.
inline Counts CountPass(const Conv2dProblem& p, Pass pass) {
  Arrays arrays;
  const std::vector<float> x(p.input.size(), 1.0f), dy(p.output().size(), 1.0f);
  const float* weight = arrays.In(std::vector<float>(p.weight_size(), 1.0f));
  float* packed = arrays.Packed(PackedWeightBytes(p, pass));
  const Workspace workspace = arrays.Scratch(Conv2dWorkspace(p, pass));
  const float* picture = arrays.In(pass == Pass::kBackwardData ? dy : x);
  const float* other = pass == Pass::kBackwardWeights ? arrays.In(dy) : nullptr;
  const int64_t results = pass == Pass::kForward        ? p.output().size()
                          : pass == Pass::kBackwardData ? p.input.size()
                                                        : p.weight_size();
  float* result = arrays.Out(results);
  emulator::Control::Set("count", 1);
  emulator::Control::ResetCounters();
  EXPECT_OK(PackWeights(arrays.stream(), p, pass, weight, nullptr, packed));
  switch (pass) {
    case Pass::kForward:
      EXPECT_OK(Conv2dForward(arrays.stream(), p, picture, packed, nullptr, test::kRelu, result));
      break;
    case Pass::kBackwardData:
      EXPECT_OK(
          Conv2dBackwardData(arrays.stream(), p, picture, packed, nullptr, test::kNone, result));
      break;
    case Pass::kBackwardWeights:
      EXPECT_OK(
          Conv2dBackwardWeights(arrays.stream(), p, picture, other, result, nullptr, workspace));
      break;
  }
  EXPECT_OK(arrays.stream().Synchronize());
  const Counts counts = ReadCounts(emulator::Control::Report());
  emulator::Control::Set("count", 0);
  return counts;
}

}  // namespace ninc::cuda
