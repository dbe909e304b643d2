// Convolution, forward and data gradient, as a matrix product whose left operand is gathered while
// it is copied (implicit GEMM). A block computes 32·kWarpRows pixels by 32·kWarpColumns channels;
// warps whose columns lie past the last channel only help to copy, so that channels cost whole warp
// tiles, not whole blocks.
#include "cuda/conv2d/conv2d.h"

#include <cstddef>

#include "cuda/common/vector.cuh"
#include "cuda/conv2d/conv2d_gather.cuh"
#include "cuda/conv2d/conv2d_tile.cuh"

namespace ninc::cuda {
namespace {

// Values that the epilogue reads before the first is waited for.
constexpr int kAhead = 4;

// Writes a warp's accumulators: rows from `row`, columns from `column` on.
__device__ __forceinline__ void WriteTile(const Conv2dArgs& args, int row, int column,
                                          const Accumulators& acc) {
  const int g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int n = column + 16 * i + 2 * g;
    if (n >= args.columns) break;
    const bool second = n + 1 < args.columns;
    float2 bias = make_float2(0.0f, 0.0f);
    if (args.bias != nullptr) bias = LoadPair(args.bias + n, false, second);
    const auto row_of = [&](int j) { return row + 8 * (j >> 1) + 2 * t + (j & 1); };
    const auto place_of = [&](int j) { return static_cast<int64_t>(row_of(j)) * args.columns + n; };
#pragma unroll
    for (int first = 0; first < 8; first += kAhead) {
      float2 mask[kAhead];
#pragma unroll
      for (int j = 0; j < kAhead; ++j) {
        if (args.mask != nullptr && row_of(first + j) < args.gather.rows) {
          mask[j] = LoadPair(args.mask + place_of(first + j), args.pairs, second);
        }
      }
#pragma unroll
      for (int j = 0; j < kAhead; ++j) {
        if (row_of(first + j) >= args.gather.rows) break;
        const float* sum = acc[i][(first + j) >> 1] + (j & 1);
        float2 v = make_float2(sum[0] + bias.x, sum[2] + bias.y);
        if (args.mask != nullptr) {
          v = make_float2(Masked(args.limits, v.x, mask[j].x), Masked(args.limits, v.y, mask[j].y));
        } else {
          v = make_float2(Activated(args.limits, v.x), Activated(args.limits, v.y));
        }
        StorePair(args.y + place_of(first + j), v, args.pairs, second);
      }
    }
  }
}

// In one piece, so that one register holds where all of it lies.
template <int kRows, int kColumns>
struct StageMemory {
  alignas(16) float gathered[kStages][kRows * kDepth];
  alignas(16) float packed[kStages][kColumns * kDepth];
  int4 pixels[kRows];  // see GatherAlongDepth

  static constexpr int kGatheredBytes = kRows * kDepth * 4, kPackedBytes = kColumns * kDepth * 4;
};

template <Precision kPrecision, int kWarpRows, int kWarpColumns>
__device__ __forceinline__ void Convolve(const Conv2dArgs& args) {
  constexpr int kRows = kWarpTile * kWarpRows, kColumns = kWarpTile * kWarpColumns;
  constexpr int kThreads = 32 * kWarpRows * kWarpColumns;
  using Memory = StageMemory<kRows, kColumns>;
  __shared__ Memory memory;

  const int block_row = blockIdx.x / args.column_tiles * kRows;
  const int block_column = blockIdx.x % args.column_tiles * kColumns;
  const int warp = threadIdx.x / 32;
  const int warp_row = warp / kWarpColumns * kWarpTile;
  const int warp_column = warp % kWarpColumns * kWarpTile;
  const bool useful =
      block_column + warp_column < args.packed_columns && block_row + warp_row < args.gather.rows;

  const uint32_t gathered = SharedAddress(&memory);
  const uint32_t packed = gathered + offsetof(Memory, packed);
  GatherAlongDepth<kRows, kThreads> gather(args.gather, block_row, memory.pixels,
                                           gathered + offsetof(Memory, pixels));
  __syncthreads();
  PackedCopier<kColumns, kThreads> weights(args.packed, args.packed_columns, block_column);
  const LaneOffsets lane = AlongDepthOffsets<kPrecision>();
  const uint32_t lane_packed = Kept(lane.packed + warp_column * kDepth * 4);
  const uint32_t lane_pixels = Kept(lane.pixels + warp_row * kDepth * 4);

  // The first turns only copy: one place in the code is enough for that.
  Accumulators acc = {};
  int stage = 1, next = 0;
#pragma unroll 1
  for (int turn = 1 - kStages; turn < args.stages; ++turn) {
    WaitForCopies<kStages - 2>();
    __syncthreads();  // the stage has arrived for all, and all are done with the one before it
    if (turn + kStages - 1 < args.stages) {
      gather.Copy(gathered + next * Memory::kGatheredBytes);
      weights.Copy(packed + next * Memory::kPackedBytes);
    }
    CommitCopies();
    if (useful && turn >= 0) {
      AddAlongDepth<kPrecision>(packed + stage * Memory::kPackedBytes + lane_packed,
                                gathered + stage * Memory::kGatheredBytes + lane_pixels, acc);
    }
    stage = stage + 1 == kStages ? 0 : stage + 1;
    next = next + 1 == kStages ? 0 : next + 1;
  }
  if (useful) WriteTile(args, block_row + warp_row, block_column + warp_column, acc);
}

// acc(n) += sum over half of a stage's e of gathered(row, e) * packed(e, n) for n < columns
constexpr int kFewColumns = 16;
__device__ __forceinline__ void AddFewColumns(uint32_t gathered, uint32_t packed, int row, int half,
                                              int columns, float (&acc)[kFewColumns]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int chunk = 2 * half + i;
    const float4 pixel = Load4(gathered + SwizzledWord(row, chunk) * 4);
#pragma unroll
    for (int n = 0; n < kFewColumns; n += 2) {
      if (n >= columns) break;
      const float4 first = Load4(packed + (2 * n + chunk) * 16);
      const float4 second = Load4(packed + (2 * kDepth + 2 * n + chunk) * 16);
      acc[n] = fmaf(pixel.x, first.x, fmaf(pixel.y, first.z, acc[n]));
      acc[n + 1] = fmaf(pixel.x, first.y, fmaf(pixel.y, first.w, acc[n + 1]));
      acc[n] = fmaf(pixel.z, second.x, fmaf(pixel.w, second.z, acc[n]));
      acc[n + 1] = fmaf(pixel.z, second.y, fmaf(pixel.w, second.w, acc[n + 1]));
    }
  }
}

}  // namespace

// `blocks` of them on a multiprocessor are twelve to eighteen warps. More warps for products of
// three parts gained nothing on an H200, and fewer registers than these would be spilled.
#define NINC_CONVOLUTION(name, precision, warp_rows, warp_columns, blocks)            \
  extern "C" __global__ void __launch_bounds__(32 * warp_rows * warp_columns, blocks) \
      ninc_conv2d_##name(const __grid_constant__ Conv2dArgs args) {                   \
    Convolve<Precision::precision, warp_rows, warp_columns>(args);                    \
  }

NINC_CONVOLUTION(strict_128x32, kStrict, 4, 1, 4)
NINC_CONVOLUTION(strict_128x64, kStrict, 4, 2, 2)
NINC_CONVOLUTION(strict_64x96, kStrict, 2, 3, 2)
#if NINC_HAS_TF32
NINC_CONVOLUTION(split_128x32, kSplit, 4, 1, 3)
NINC_CONVOLUTION(split_128x64, kSplit, 4, 2, 2)
NINC_CONVOLUTION(split_64x96, kSplit, 2, 3, 2)
NINC_CONVOLUTION(reduced_128x32, kReduced, 4, 1, 4)
NINC_CONVOLUTION(reduced_128x64, kReduced, 4, 2, 2)
NINC_CONVOLUTION(reduced_64x96, kReduced, 2, 3, 3)
#endif

// Up to 16 channels, a network's classes: a warp tile would be mostly padding. A thread sums one
// pixel's channels over half of each stage by plain float32 products.
extern "C" __global__ void __launch_bounds__(128, 4)
    ninc_conv2d_strict_64x16(const __grid_constant__ Conv2dArgs args) {
  constexpr int kRows = 64, kThreads = 128;
  using Memory = StageMemory<kRows, kFewColumns>;
  __shared__ Memory memory;
  const int first_row = blockIdx.x * kRows;
  const int row = threadIdx.x % kRows, half = threadIdx.x / kRows;

  const uint32_t gathered = SharedAddress(&memory);
  const uint32_t packed = gathered + offsetof(Memory, packed);
  GatherAlongDepth<kRows, kThreads> gather(args.gather, first_row, memory.pixels,
                                           gathered + offsetof(Memory, pixels));
  PackedCopier<kFewColumns, kThreads> weights(args.packed, args.packed_columns, 0);

  float acc[kFewColumns] = {};
  int stage = 1, next = 0;
#pragma unroll 1
  for (int turn = 1 - kStages; turn < args.stages; ++turn) {
    WaitForCopies<kStages - 2>();
    __syncthreads();
    if (turn + kStages - 1 < args.stages) {
      gather.Copy(gathered + next * Memory::kGatheredBytes);
      weights.Copy(packed + next * Memory::kPackedBytes);
    }
    CommitCopies();
    if (turn >= 0) {
      AddFewColumns(gathered + stage * Memory::kGatheredBytes,
                    packed + stage * Memory::kPackedBytes, row, half, args.columns, acc);
    }
    stage = stage + 1 == kStages ? 0 : stage + 1;
    next = next + 1 == kStages ? 0 : next + 1;
  }

  // The halves are joined where the stages were, and written side by side.
  float* sums = memory.gathered[0];  // [channel][row]
  __syncthreads();
#pragma unroll
  for (int n = 0; n < kFewColumns; ++n) {
    if (half == 1) sums[n * kRows + row] = acc[n];
  }
  __syncthreads();
#pragma unroll
  for (int n = 0; n < kFewColumns; ++n) {
    if (half == 0) sums[n * kRows + row] += acc[n];
  }
  __syncthreads();
  const int count = min(kRows, args.gather.rows - first_row) * args.columns;
  for (int i = threadIdx.x; i < count; i += kThreads) {
    const int m = i / args.columns, n = i - m * args.columns;
    const int64_t at = static_cast<int64_t>(first_row) * args.columns + i;
    const float sum = sums[n * kRows + m];
    if (args.mask != nullptr) {
      args.y[at] = Masked(args.limits, sum, args.mask[at]);
    } else {
      args.y[at] = Activated(args.limits, sum + (args.bias != nullptr ? args.bias[n] : 0.0f));
    }
  }
}

}  // namespace ninc::cuda
