// The weight gradient: chunks of pixels summed side by side, then the sum of the chunks.
#include <functional>

#include "cuda/conv2d/conv2d.h"
#include "cuda/conv2d/conv2d_compile.h"
#include "cuda/conv2d/conv2d_groups.h"
#include "cuda/conv2d/conv2d_narrow.h"

namespace ninc::cuda {
namespace {

// By precision, then block tile.
constexpr KernelId kKernels[][kWarpTileBlocks] = {
    {{"conv2d_weight_gradient", "ninc_conv2d_weight_gradient_strict_128x32"},
     {"conv2d_weight_gradient", "ninc_conv2d_weight_gradient_strict_128x64"},
     {"conv2d_weight_gradient", "ninc_conv2d_weight_gradient_strict_64x96"}},
    {{"conv2d_weight_gradient", "ninc_conv2d_weight_gradient_split_128x32"},
     {"conv2d_weight_gradient", "ninc_conv2d_weight_gradient_split_128x64"},
     {"conv2d_weight_gradient", "ninc_conv2d_weight_gradient_split_64x96"}},
    {{"conv2d_weight_gradient", "ninc_conv2d_weight_gradient_reduced_128x32"},
     {"conv2d_weight_gradient", "ninc_conv2d_weight_gradient_reduced_128x64"},
     {"conv2d_weight_gradient", "ninc_conv2d_weight_gradient_reduced_64x96"}},
};

constexpr uint32_t kGroupThreads = 256;

// How the sum is split: `blocks` of `threads` for each chunk, and the width of the rows of partial
// sums.
struct Schedule {
  const ProductShape& shape;
  int64_t column_tiles = 1, blocks = 0, packed_columns;
  uint32_t threads = 0;
  Chunks chunks = {};

  explicit Schedule(const Conv2dPass& conv) : shape(conv.shape), packed_columns(shape.columns) {
    switch (conv.kernels) {
      case Conv2dPass::Kernels::kGroups:
        threads = kGroupThreads;
        blocks = CeilDiv((shape.reduction() + 1) * shape.columns, threads);
        chunks = SplitPixels(shape.rows, blocks, 64);
        break;
      case Conv2dPass::Kernels::kNarrow:
        threads = NarrowThreads(shape.channels);
        blocks = CeilDiv(shape.channels, threads);
        chunks = SplitPixels(shape.rows, blocks, 2 * kNarrowPixels);
        break;
      case Conv2dPass::Kernels::kTiles:
        packed_columns = shape.packed_columns();
        column_tiles = CeilDiv(shape.columns, conv.block().columns);
        threads = conv.block().threads;
        blocks = CeilDiv(shape.reduction(), conv.block().rows) * column_tiles;
        chunks = SplitPixels(shape.rows, blocks, 128);
        break;
    }
  }
  int64_t partial_size() const { return chunks.count * (shape.reduction() + 1) * packed_columns; }
  Grid grid() const { return {.x = Blocks(blocks), .y = Blocks(chunks.count), .threads = threads}; }
};

// Queues the sums over each chunk.
using PartialSums =
    std::function<Status(Stream& stream, const float* x, const float* dy, float* partial)>;

PartialSums OfTiles(const Conv2dPass& conv, const Schedule& schedule, bool bias) {
  Conv2dWeightGradientArgs fixed{};
  fixed.gather = MakeGather(conv.problem, Pass::kBackwardWeights);
  fixed.columns = static_cast<int32_t>(schedule.shape.columns);
  fixed.packed_columns = static_cast<int32_t>(schedule.packed_columns);
  fixed.reduction = static_cast<int32_t>(schedule.shape.reduction());
  fixed.chunk = static_cast<int32_t>(schedule.chunks.chunk);
  fixed.column_tiles = static_cast<int32_t>(schedule.column_tiles);
  fixed.bias = bias;
  const KernelId kernel = kKernels[conv.precision][static_cast<int>(conv.tile)];
  return [fixed, kernel, grid = schedule.grid()](Stream& stream, const float* x, const float* dy,
                                                 float* partial) {
    Conv2dWeightGradientArgs args = fixed;
    SetPicture(args.gather, x);
    args.dy = dy;
    args.partial = partial;
    args.vectors = args.columns % 4 == 0 && IsAligned(dy, 16);
    return stream.Launch(kernel, grid, args);
  };
}

PartialSums OfGroups(const Conv2dPass& conv, const Schedule& schedule) {
  const Conv2dProblem& problem = conv.problem;
  GroupsWeightsArgs fixed{};
  fixed.gather = MakeGather(problem, Pass::kBackwardWeights);
  fixed.chunk = static_cast<int32_t>(schedule.chunks.chunk);
  fixed.reduction = static_cast<int32_t>(schedule.shape.reduction());
  fixed.count = static_cast<int32_t>((schedule.shape.reduction() + 1) * schedule.shape.columns);
  fixed.columns = MakeDivisor(schedule.shape.columns);
  fixed.group = MakeDivisor(problem.group_out());
  fixed.group_channels = static_cast<int32_t>(problem.group_in());
  return [fixed, grid = schedule.grid()](Stream& stream, const float* x, const float* dy,
                                         float* partial) {
    GroupsWeightsArgs args = fixed;
    SetPicture(args.gather, x);
    args.dy = dy;
    args.partial = partial;
    return stream.Launch({"conv2d_groups", "ninc_conv2d_groups_weights"}, grid, args);
  };
}

PartialSums OfNarrowGradient(const Schedule& schedule, bool bias) {
  NarrowWeightsArgs fixed{};
  fixed.rows = static_cast<int32_t>(schedule.shape.rows);
  fixed.channels = static_cast<int32_t>(schedule.shape.channels);
  fixed.outputs = static_cast<int32_t>(schedule.shape.columns);
  fixed.chunk = static_cast<int32_t>(schedule.chunks.chunk);
  fixed.bias = bias;
  return [fixed, grid = schedule.grid()](Stream& stream, const float* x, const float* dy,
                                         float* partial) {
    NarrowWeightsArgs args = fixed;
    args.x = x;
    args.dy = dy;
    args.partial = partial;
    return stream.Launch({"conv2d_narrow", "ninc_conv2d_narrow_weights"}, grid, args);
  };
}

PartialSums MakePartialSums(const Conv2dPass& conv, const Schedule& schedule, bool bias) {
  if (schedule.chunks.count == 0) {  // sums of nothing
    return [](Stream&, const float*, const float*, float*) { return Status(); };
  }
  switch (conv.kernels) {
    case Conv2dPass::Kernels::kGroups:
      return OfGroups(conv, schedule);
    case Conv2dPass::Kernels::kNarrow:
      return OfNarrowGradient(schedule, bias);
    case Conv2dPass::Kernels::kTiles:
      break;
  }
  return OfTiles(conv, schedule, bias);
}

}  // namespace

// dweight(k,c,r,s) = sum_npq dy(n,p,q,k) * x(n, p*stride + r*dil - pad, ..., c); dbias(k) = sum_npq
// dy(n,p,q,k), unless it is missing.
Compiled Compile(const step::Conv2dBackwardWeights& step, const CompileContext&) {
  NINC_RETURN_IF_ERROR(CheckSize(step.problem));
  const Conv2dPass conv(step.problem, Pass::kBackwardWeights);
  const Schedule schedule(conv);
  const ProductShape& shape = schedule.shape;
  Conv2dSumArgs fixed{};
  fixed.chunks = static_cast<int32_t>(schedule.chunks.count);
  fixed.columns = static_cast<int32_t>(shape.columns);
  fixed.packed_columns = static_cast<int32_t>(schedule.packed_columns);
  fixed.reduction = static_cast<int32_t>(shape.reduction());
  fixed.channels = static_cast<int32_t>(shape.channels);
  fixed.taps = static_cast<int32_t>(shape.taps);
  const Grid grid{.x = Blocks(CeilDiv(shape.reduction() + 1, 32) * CeilDiv(shape.columns, 32))};
  const PartialSums sums = MakePartialSums(conv, schedule, step.dbias != kNoValue);
  Kernel kernel(ScratchOf(schedule.partial_size()), [=](const Run& run) -> Status {
    Conv2dSumArgs args = fixed;
    float* partial = run.scratch().shared();
    args.partial = partial;
    args.dweight = run.Out(step.dweight);
    args.dbias = run.Out(step.dbias);
    NINC_RETURN_IF_ERROR(sums(On(run), run.In(step.x), run.In(step.dy), partial));
    return On(run).Launch({"conv2d_weight_gradient", "ninc_conv2d_sum"}, grid, args);
  });
  AddConvolution(kernel, 0, conv, conv.Name());
  return kernel;
}

}  // namespace ninc::cuda
