// The weight gradient: chunks of pixels summed side by side, then the sum of the chunks.
#include "cuda/common/operations.h"
#include "cuda/conv2d/conv2d.h"
#include "cuda/conv2d/conv2d_groups.h"
#include "cuda/conv2d/conv2d_shape.h"

namespace ninc::cuda {
namespace {

// By precision, then block tile.
constexpr KernelId kKernels[][kBlockTiles] = {
    {{"conv2d_weights", "ninc_conv2d_weights_strict_128x32"},
     {"conv2d_weights", "ninc_conv2d_weights_strict_128x64"},
     {"conv2d_weights", "ninc_conv2d_weights_strict_64x96"}},
    {{"conv2d_weights", "ninc_conv2d_weights_split_128x32"},
     {"conv2d_weights", "ninc_conv2d_weights_split_128x64"},
     {"conv2d_weights", "ninc_conv2d_weights_split_64x96"}},
    {{"conv2d_weights", "ninc_conv2d_weights_reduced_128x32"},
     {"conv2d_weights", "ninc_conv2d_weights_reduced_128x64"},
     {"conv2d_weights", "ninc_conv2d_weights_reduced_64x96"}},
};

constexpr uint32_t kGroupThreads = 256;

// How the sum is split: `blocks` for each chunk, and the width of the rows of partial sums.
struct Schedule {
  ProductShape shape;
  BlockTile tile;
  int64_t column_tiles, blocks, packed_columns;
  Chunks chunks;

  explicit Schedule(const Conv2dProblem& problem)
      : shape(ShapeOf(problem, Pass::kBackwardWeights)), tile(ChooseBlockTile(shape.columns)) {
    if (problem.groups > 1) {
      packed_columns = shape.columns;
      column_tiles = 1;
      blocks = CeilDiv((shape.reduction() + 1) * shape.columns, kGroupThreads);
      chunks = SplitPixels(shape.rows, blocks, 64);
      return;
    }
    if (IsNarrowGradient(problem, Pass::kBackwardWeights)) {
      packed_columns = shape.columns;
      column_tiles = 1;
      blocks = CeilDiv(shape.channels, NarrowThreads(shape.channels));
      chunks = SplitPixels(shape.rows, blocks, 2 * kNarrowPixels);
      return;
    }
    packed_columns = shape.packed_columns();
    column_tiles = CeilDiv(shape.columns, SizeOf(tile).columns);
    blocks = CeilDiv(shape.reduction(), SizeOf(tile).rows) * column_tiles;
    chunks = SplitPixels(shape.rows, blocks, 128);
  }
  int64_t partial_size() const { return chunks.count * (shape.reduction() + 1) * packed_columns; }
};

Status SumProducts(Stream& stream, const Conv2dProblem& problem, const Schedule& schedule,
                   const Gather& gather, const float* dy, bool bias, float* partial) {
  Conv2dWeightsArgs args{};
  args.gather = gather;
  args.dy = dy;
  args.partial = partial;
  args.columns = static_cast<int32_t>(schedule.shape.columns);
  args.packed_columns = static_cast<int32_t>(schedule.packed_columns);
  args.reduction = static_cast<int32_t>(schedule.shape.reduction());
  args.chunk = static_cast<int32_t>(schedule.chunks.chunk);
  args.column_tiles = static_cast<int32_t>(schedule.column_tiles);
  args.vectors = schedule.shape.columns % 4 == 0 && IsAligned(dy, 16);
  args.bias = bias;
  Grid grid;
  grid.x = static_cast<uint32_t>(schedule.blocks);
  grid.y = static_cast<uint32_t>(schedule.chunks.count);
  grid.threads = SizeOf(schedule.tile).threads();
  return stream.Launch(kKernels[PrecisionIndex(problem.method)][static_cast<int>(schedule.tile)],
                       grid, args);
}

Status SumGroups(Stream& stream, const Conv2dProblem& problem, const Schedule& schedule,
                 const Gather& gather, const float* dy, float* partial) {
  GroupsWeightsArgs args{};
  args.gather = gather;
  args.dy = dy;
  args.partial = partial;
  args.chunk = static_cast<int32_t>(schedule.chunks.chunk);
  args.reduction = static_cast<int32_t>(schedule.shape.reduction());
  args.count = static_cast<int32_t>((schedule.shape.reduction() + 1) * schedule.shape.columns);
  args.columns = MakeDivisor(schedule.shape.columns);
  args.group = MakeDivisor(problem.group_out());
  args.group_channels = static_cast<int32_t>(problem.group_in());
  Grid grid;
  grid.x = static_cast<uint32_t>(schedule.blocks);
  grid.y = static_cast<uint32_t>(schedule.chunks.count);
  grid.threads = kGroupThreads;
  return stream.Launch({"conv2d_groups", "ninc_conv2d_groups_weights"}, grid, args);
}

Status SumNarrow(Stream& stream, const Schedule& schedule, const float* x, const float* dy,
                 bool bias, float* partial) {
  NarrowWeightsArgs args{};
  args.x = x;
  args.dy = dy;
  args.partial = partial;
  args.rows = static_cast<int32_t>(schedule.shape.rows);
  args.channels = static_cast<int32_t>(schedule.shape.channels);
  args.outputs = static_cast<int32_t>(schedule.shape.columns);
  args.chunk = static_cast<int32_t>(schedule.chunks.chunk);
  args.bias = bias;
  Grid grid;
  grid.x = static_cast<uint32_t>(schedule.blocks);
  grid.y = static_cast<uint32_t>(schedule.chunks.count);
  grid.threads = NarrowThreads(schedule.shape.channels);
  return stream.Launch({"conv2d_narrow", "ninc_conv2d_narrow_weights"}, grid, args);
}

}  // namespace

WorkspaceSize Conv2dWorkspace(const Conv2dProblem& problem, Pass pass) {
  if (pass != Pass::kBackwardWeights) return {};
  return {.shared = static_cast<size_t>(Schedule(problem).partial_size()) * sizeof(float)};
}

Status Conv2dBackwardWeights(Stream& stream, const Conv2dProblem& problem, const float* x,
                             const float* dy, float* dweight, float* dbias,
                             const Workspace& workspace) {
  NINC_RETURN_IF_ERROR(CheckSize(problem));
  const Schedule schedule(problem);
  float* partial = workspace.shared();
  if (schedule.chunks.count > 0) {  // else sums of nothing: zeros
    const Gather gather = MakeGather(problem, Pass::kBackwardWeights, x);
    const bool bias = dbias != nullptr;
    NINC_RETURN_IF_ERROR(problem.groups > 1
                             ? SumGroups(stream, problem, schedule, gather, dy, partial)
                         : IsNarrowGradient(problem, Pass::kBackwardWeights)
                             ? SumNarrow(stream, schedule, x, dy, bias, partial)
                             : SumProducts(stream, problem, schedule, gather, dy, bias, partial));
  }
  const ProductShape& shape = schedule.shape;
  Conv2dSumArgs args{};
  args.partial = partial;
  args.dweight = dweight;
  args.dbias = dbias;
  args.chunks = static_cast<int32_t>(schedule.chunks.count);
  args.columns = static_cast<int32_t>(shape.columns);
  args.packed_columns = static_cast<int32_t>(schedule.packed_columns);
  args.reduction = static_cast<int32_t>(shape.reduction());
  args.channels = static_cast<int32_t>(shape.channels);
  args.taps = static_cast<int32_t>(shape.taps);
  Grid grid;
  grid.x = static_cast<uint32_t>(CeilDiv(shape.reduction() + 1, 32) * CeilDiv(shape.columns, 32));
  return stream.Launch({"conv2d_weights", "ninc_conv2d_sum"}, grid, args);
}

}  // namespace ninc::cuda
