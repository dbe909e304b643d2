// Forward pass, data gradient and packing of weights: which kernel, which grid.
#include "cuda/conv2d/conv2d.h"

#include <algorithm>

#include "cuda/common/operations.h"
#include "cuda/conv2d/conv2d_groups.h"
#include "cuda/conv2d/conv2d_shape.h"

namespace ninc::cuda {
namespace {

// By precision, then block tile.
constexpr KernelId kKernels[][kBlockTiles] = {
    {{"conv2d", "ninc_conv2d_strict_128x32"},
     {"conv2d", "ninc_conv2d_strict_128x64"},
     {"conv2d", "ninc_conv2d_strict_64x96"}},
    {{"conv2d", "ninc_conv2d_split_128x32"},
     {"conv2d", "ninc_conv2d_split_128x64"},
     {"conv2d", "ninc_conv2d_split_64x96"}},
    {{"conv2d", "ninc_conv2d_reduced_128x32"},
     {"conv2d", "ninc_conv2d_reduced_128x64"},
     {"conv2d", "ninc_conv2d_reduced_64x96"}},
};

constexpr uint32_t kThreads = 256;  // of the kernels with a thread for each element

Grid GridOf(int64_t elements) {
  Grid grid;
  grid.x = static_cast<uint32_t>(CeilDiv(elements, kThreads));
  grid.threads = kThreads;
  return grid;
}

// What is added to the sums and done to them, forward or backward.
struct Epilogue {
  const float* bias = nullptr;
  const float* mask = nullptr;
  Limits limits;
};

Status RunGroups(Stream& stream, const Conv2dProblem& problem, Pass pass, const float* picture,
                 const float* packed, const Epilogue& epilogue, float* y) {
  const ProductShape shape = ShapeOf(problem, pass);
  GroupsArgs args{};
  args.gather = MakeGather(problem, pass, picture);
  args.packed = packed;
  args.bias = epilogue.bias;
  args.mask = epilogue.mask;
  args.y = y;
  args.limits = epilogue.limits;
  args.count = static_cast<int32_t>(shape.rows * shape.columns);
  args.columns = MakeDivisor(shape.columns);
  args.group = MakeDivisor(shape.columns / problem.groups);
  args.group_channels = static_cast<int32_t>(shape.channels);
  return stream.Launch({"conv2d_groups", "ninc_conv2d_groups"}, GridOf(args.count), args);
}

Status RunNarrow(Stream& stream, const Conv2dProblem& problem, const float* dy, const float* packed,
                 const Epilogue& epilogue, float* dx) {
  NarrowDataArgs args{};
  args.dy = dy;
  args.packed = packed;
  args.mask = epilogue.mask;
  args.dx = dx;
  args.limits = epilogue.limits;
  args.rows = static_cast<int32_t>(problem.input.pixels());
  args.channels = static_cast<int32_t>(problem.input.c);
  args.outputs = static_cast<int32_t>(problem.out_channels);
  // Some blocks for each multiprocessor of a large device, and no more than a grid may have.
  constexpr int64_t kMostBlocks = 4096;
  args.chunk = static_cast<int32_t>(
      RoundUp(std::max<int64_t>(1, CeilDiv(args.rows, kMostBlocks)), kNarrowPixels));
  Grid grid;
  grid.threads = NarrowThreads(problem.input.c);
  grid.x = static_cast<uint32_t>(CeilDiv(problem.input.c, grid.threads));
  grid.y = static_cast<uint32_t>(CeilDiv(args.rows, args.chunk));
  return stream.Launch({"conv2d_narrow", "ninc_conv2d_narrow_data"}, grid, args);
}

Status Run(Stream& stream, const Conv2dProblem& problem, Pass pass, const float* picture,
           const float* packed, const Epilogue& epilogue, float* y) {
  NINC_RETURN_IF_ERROR(CheckSize(problem));
  const ProductShape shape = ShapeOf(problem, pass);
  if (shape.rows == 0) return Status();
  if (problem.groups > 1) {
    return RunGroups(stream, problem, pass, picture, packed, epilogue, y);
  }
  if (IsNarrowGradient(problem, pass)) {
    return RunNarrow(stream, problem, picture, packed, epilogue, y);
  }
  Conv2dArgs args{};
  args.gather = MakeGather(problem, pass, picture);
  args.packed = packed;
  args.bias = epilogue.bias;
  args.mask = epilogue.mask;
  args.y = y;
  args.limits = epilogue.limits;
  args.columns = static_cast<int32_t>(shape.columns);
  args.packed_columns = static_cast<int32_t>(shape.packed_columns());
  args.steps = static_cast<int32_t>(shape.steps());
  args.pairs = shape.columns % 2 == 0 && IsAligned(y, 8) && IsAligned(epilogue.mask, 8);
  Grid grid;
  if (shape.columns <= kNarrowColumns) {
    args.column_tiles = 1;
    grid.x = static_cast<uint32_t>(CeilDiv(shape.rows, kNarrowRows));
    grid.threads = 128;
    return stream.Launch({"conv2d", "ninc_conv2d_narrow"}, grid, args);
  }
  const BlockTile tile = ChooseBlockTile(shape.columns);
  const BlockSize size = SizeOf(tile);
  args.column_tiles = static_cast<int32_t>(CeilDiv(shape.columns, size.columns));
  grid.x = static_cast<uint32_t>(CeilDiv(shape.rows, size.rows) * args.column_tiles);
  grid.threads = size.threads();
  return stream.Launch(kKernels[PrecisionIndex(problem.method)][static_cast<int>(tile)], grid,
                       args);
}

// Whether weights are packed by stages, for the kernels of conv2d.cu.
bool IsStaged(const Conv2dProblem& problem, Pass pass) {
  return problem.groups == 1 && !IsNarrowGradient(problem, pass);
}

}  // namespace

size_t PackedWeightBytes(const Conv2dProblem& problem, Pass pass) {
  if (pass == Pass::kBackwardWeights) return 0;
  const ProductShape shape = ShapeOf(problem, pass);
  const int64_t size =
      IsStaged(problem, pass) ? shape.packed_size() : shape.reduction() * shape.columns;
  return static_cast<size_t>(size) * sizeof(float);
}

Status PackWeights(Stream& stream, const Conv2dProblem& problem, Pass pass, const float* weight,
                   const float* scale, float* packed) {
  if (pass == Pass::kBackwardWeights) return Status();
  NINC_RETURN_IF_ERROR(CheckSize(problem));
  const ProductShape shape = ShapeOf(problem, pass);
  PackArgs args{};
  args.weight = weight;
  args.scale = scale;
  args.packed = packed;
  args.count = static_cast<int32_t>(PackedWeightBytes(problem, pass) / sizeof(float));
  args.columns = static_cast<int32_t>(shape.columns);
  args.stages = IsStaged(problem, pass);
  args.packed_columns = static_cast<int32_t>(args.stages ? shape.packed_columns() : shape.columns);
  args.channels = static_cast<int32_t>(shape.channels);
  args.reduction = static_cast<int32_t>(shape.reduction());
  args.taps = static_cast<int32_t>(shape.taps);
  args.inputs = static_cast<int32_t>(problem.group_in());
  args.group_columns = static_cast<int32_t>(shape.columns / problem.groups);
  args.transposed = pass == Pass::kBackwardData;
  return stream.Launch({"conv2d_pack", "ninc_conv2d_pack"}, GridOf(args.count), args);
}

std::string Conv2dAlgorithm(const Conv2dProblem& problem, Pass pass) {
  if (problem.groups > 1) return "direct by groups, float32";
  if (IsNarrowGradient(problem, pass)) return "direct 1×1, float32";
  const int64_t columns = ShapeOf(problem, pass).columns;
  if (pass != Pass::kBackwardWeights && columns <= kNarrowColumns) {
    return "implicit gemm 64×16, float32";
  }
  return std::string("implicit gemm ") + kBlockNames[static_cast<int>(ChooseBlockTile(columns))] +
         ", " + PrecisionName(problem.method);
}

Status Conv2dForward(Stream& stream, const Conv2dProblem& problem, const float* x,
                     const float* packed, const float* bias, Activation activation, float* y) {
  Epilogue epilogue{.bias = bias, .limits = MakeLimits(activation)};
  return Run(stream, problem, Pass::kForward, x, packed, epilogue, y);
}

Status Conv2dBackwardData(Stream& stream, const Conv2dProblem& problem, const float* dy,
                          const float* packed, const float* x, Activation activation, float* dx) {
  Epilogue epilogue{.mask = x, .limits = MakeLimits(x != nullptr ? activation : Activation{})};
  return Run(stream, problem, Pass::kBackwardData, dy, packed, epilogue, dx);
}

}  // namespace ninc::cuda
