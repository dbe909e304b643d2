// The weight gradient: a matrix product that sums over pixels, of gathered pixels and dy, both with
// channels side by side. A block adds up the products of one chunk of pixels; the chunks' sums go
// to memory and are added in their order, so that the same bits come out every time.
#include "cuda/conv2d/conv2d.h"

#include <cstddef>

#include "cuda/conv2d/conv2d_gather.cuh"
#include "cuda/conv2d/conv2d_tile.cuh"

namespace ninc::cuda {
namespace {

// Copies of kSize values of each of 16 pixels to a tile across at this address of shared memory;
// find(row, &from) says where a thread's values of the tile's pixel lie, or false for zeros.
template <int kSize, int kThreads, int kWidth, class Find>
__device__ __forceinline__ void CopyAcross(uint32_t tile, Find find) {
  constexpr int kLanes = kSize / kWidth;  // threads side by side on one pixel
  constexpr int kSweep = kThreads / kLanes;
  static_assert(kThreads % kLanes == 0, "a thread keeps its channels from pixel to pixel");
  const int first = threadIdx.x / kLanes;
  const uint32_t to = tile + (first * AcrossPitch(kSize) + threadIdx.x % kLanes * kWidth) * 4;
#pragma unroll
  for (int i = 0; i < (kDepth + kSweep - 1) / kSweep; ++i) {
    if (kDepth % kSweep != 0 && first + i * kSweep >= kDepth) break;
    const float* from;
    const bool inside = find(first + i * kSweep, &from);
    if constexpr (kWidth == 4) {
      CopyAsync16(to + i * kSweep * AcrossPitch(kSize) * 4, from, inside);
    } else {
      CopyAsync4(to + i * kSweep * AcrossPitch(kSize) * 4, from, inside);
    }
  }
}

// Both operands: gathered pixels, whose kernel position and channel a thread keeps, and dy.
template <int kRows, int kColumns, int kThreads>
class WeightGradientCopier {
 public:
  // origins: two times kDepth of shared memory, whose address is `at`. The block synchronises
  // before each Copy.
  __device__ __forceinline__ WeightGradientCopier(const Conv2dWeightGradientArgs& args, int row,
                                                  int column, int4* origins, uint32_t at)
      : args_(args),
        origins_(origins),
        at_(at),
        pixel_(blockIdx.y * args.chunk),
        tap_(args.gather, 0) {
    end_ = pixel_ + min(args.chunk, args.gather.rows - pixel_);
    const Gather& gather = args.gather;
    const int e = row + (gather.vectors ? 4 * (threadIdx.x % (kRows / 4)) : threadIdx.x % kRows);
    const int tap = e / gather.channels;
    tap_.c = e - tap * gather.channels;
    tap_.r = tap / gather.w.kernel;
    tap_.s = tap - tap_.r * gather.w.kernel;
    bit_ = tap_.Bit(gather);
    from_ = gather.picture + tap_.Offset(gather);
    column += args.vectors ? 4 * (threadIdx.x % (kColumns / 4))
                           : static_cast<int>(threadIdx.x % kColumns);
    dy_ = args.dy + static_cast<int64_t>(pixel_) * args.columns + column;
    dy_end_ = column < args.columns ? end_ : 0;
    FindOrigins(0);
  }

  __device__ __forceinline__ int stages() const { return (end_ - pixel_ + kDepth - 1) / kDepth; }

  // Starts copying the next 16 pixels, number `turn`, and finds out where those after them lie.
  __device__ __forceinline__ void Copy(int turn, uint32_t gathered, uint32_t dy) {
    const uint32_t origins = at_ + turn % 2 * kDepth * sizeof(int4);
    const auto find_dy = [&](int row, const float** from) {
      *from = dy_ + row * args_.columns;
      return pixel_ + row < dy_end_;
    };
    if (args_.gather.masked) {
      CopyGathered(gathered, [&](int row, const float** from) {
        const int2 v = LoadInt2(origins + row * sizeof(int4));
        *from = from_ + v.x;
        return (static_cast<unsigned>(v.y) & bit_) != 0;
      });
    } else {
      CopyGathered(gathered, [&](int row, const float** from) {
        const int2 v = LoadInt2(origins + row * sizeof(int4));
        const int w = LoadInt2(origins + row * sizeof(int4) + sizeof(int2)).x;
        int offset;
        const bool inside = FindPixel(args_.gather, {v.x, v.y, w}, tap_, &offset);
        *from = args_.gather.picture + offset;
        return inside;
      });
    }
    if (args_.vectors) {
      CopyAcross<kColumns, kThreads, 4>(dy, find_dy);
    } else {
      CopyAcross<kColumns, kThreads, 1>(dy, find_dy);
    }
    pixel_ += kDepth;
    dy_ += kDepth * args_.columns;
    FindOrigins(turn + 1);
  }

 private:
  template <class Find>
  __device__ __forceinline__ void CopyGathered(uint32_t tile, Find find) {
    if (args_.gather.vectors) {
      CopyAcross<kRows, kThreads, 4>(tile, find);
    } else {
      CopyAcross<kRows, kThreads, 1>(tile, find);
    }
  }

  // What is kept of a pixel, as in GatherAlongDepth.
  __device__ __forceinline__ void FindOrigins(int turn) {
    if (threadIdx.x >= kDepth) return;
    Origin origin{0, kNowhere, 0};
    const int m = pixel_ + static_cast<int>(threadIdx.x);
    if (m < end_) origin = FindOrigin(args_.gather, m);
    int4* to = origins_ + turn % 2 * kDepth + threadIdx.x;
    if (args_.gather.masked) {
      *reinterpret_cast<int2*>(to) = Place(args_.gather, origin);
    } else {
      *to = make_int4(origin.image, origin.h, origin.w, 0);
    }
  }

  const Conv2dWeightGradientArgs& args_;
  int4* origins_;
  uint32_t at_;
  int pixel_, end_;  // the next pixel to copy, and the last of the chunk
  Tap tap_;
  unsigned bit_;       // the tap's in PositionMask
  const float* from_;  // the tap's pixel of an origin 0
  const float* dy_;    // the next pixel's dy
  int dy_end_;         // the last pixel of which there is dy for this thread's column
};

// In one piece, so that one register holds where all of it lies.
template <int kRows, int kColumns>
struct AcrossMemory {
  alignas(16) float gathered[kStages][kDepth * AcrossPitch(kRows)];
  alignas(16) float dy[kStages][kDepth * AcrossPitch(kColumns)];
  int4 origins[2 * kDepth];
};

template <Precision kPrecision, int kWarpRows, int kWarpColumns>
__device__ __forceinline__ void SumProducts(const Conv2dWeightGradientArgs& args) {
  constexpr int kRows = kWarpTile * kWarpRows, kColumns = kWarpTile * kWarpColumns;
  constexpr int kThreads = 32 * kWarpRows * kWarpColumns;
  constexpr int kPitchA = AcrossPitch(kRows), kPitchB = AcrossPitch(kColumns);
  constexpr uint32_t kGatheredBytes = kDepth * kPitchA * 4, kDyBytes = kDepth * kPitchB * 4;
  using Memory = AcrossMemory<kRows, kColumns>;
  __shared__ Memory memory;

  const int block_row = blockIdx.x / args.column_tiles * kRows;
  const int block_column = blockIdx.x % args.column_tiles * kColumns;
  const int warp = threadIdx.x / 32;
  const int warp_row = warp / kWarpColumns * kWarpTile;
  const int warp_column = warp % kWarpColumns * kWarpTile;
  const bool useful =
      block_column + warp_column < args.packed_columns && block_row + warp_row < args.reduction;
  const bool sums_dy = args.bias && block_row == 0 && threadIdx.x < kColumns;

  const uint32_t gathered = SharedAddress(&memory);
  const uint32_t dy = gathered + offsetof(Memory, dy);
  WeightGradientCopier<kRows, kColumns, kThreads> copier(
      args, block_row, block_column, memory.origins, gathered + offsetof(Memory, origins));
  const AcrossOffsets<kPrecision> lane(kPitchA, kPitchB);
  const uint32_t lane_gathered = Kept(lane.a + warp_row * 4);
  const uint32_t lane_dy = Kept(lane.b + warp_column * 4);
  const int stages = copier.stages();
  Accumulators acc = {};
  float dy_sum = 0.0f;
  int stage = 1, next = 0;
#pragma unroll 1
  for (int turn = 1 - kStages; turn < stages; ++turn) {
    WaitForCopies<kStages - 2>();
    __syncthreads();  // the stage has arrived for all, and all are done with the one before it
    if (turn + kStages - 1 < stages) {
      copier.Copy(turn + kStages - 1, gathered + next * kGatheredBytes, dy + next * kDyBytes);
    }
    CommitCopies();
    if (useful && turn >= 0) {
      AddAcross<kPrecision, kPitchA, kPitchB>(gathered + stage * kGatheredBytes + lane_gathered,
                                              dy + stage * kDyBytes + lane_dy, acc);
    }
    if (sums_dy && turn >= 0) {
      float sum = 0.0f;
#pragma unroll 4
      for (int row = 0; row < kDepth; ++row) sum += memory.dy[stage][row * kPitchB + threadIdx.x];
      dy_sum += sum;
    }
    stage = stage + 1 == kStages ? 0 : stage + 1;
    next = next + 1 == kStages ? 0 : next + 1;
  }

  float* partial = args.partial +
                   static_cast<int64_t>(blockIdx.y) * (args.reduction + 1) * args.packed_columns +
                   block_column;
  if (sums_dy && block_column + static_cast<int>(threadIdx.x) < args.packed_columns) {
    partial[static_cast<int64_t>(args.reduction) * args.packed_columns + threadIdx.x] = dy_sum;
  }
  if (!useful) return;
  const int g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
  for (int i = 0; i < 4; ++i) {
    const int row = block_row + warp_row + 16 * (i >> 1) + 2 * g + (i & 1);
    if (row >= args.reduction) break;
    float* to = partial + static_cast<int64_t>(row) * args.packed_columns + warp_column + 2 * t;
    for (int j = 0; j < 4; ++j) {
      const float* sum = &acc[i >> 1][j][2 * (i & 1)];
      *reinterpret_cast<float2*>(to + 8 * j) = make_float2(sum[0], sum[1]);
    }
  }
}

}  // namespace

// At most 128 registers a thread: 16 warps in flight.
#define NINC_WEIGHT_GRADIENT(name, precision, warp_rows, warp_columns)                            \
  extern "C" __global__ void __launch_bounds__(32 * warp_rows * warp_columns,                     \
                                               16 / (warp_rows * warp_columns))                   \
      ninc_conv2d_weight_gradient_##name(const __grid_constant__ Conv2dWeightGradientArgs args) { \
    SumProducts<Precision::precision, warp_rows, warp_columns>(args);                             \
  }

NINC_WEIGHT_GRADIENT(strict_128x32, kStrict, 4, 1)
NINC_WEIGHT_GRADIENT(strict_128x64, kStrict, 4, 2)
NINC_WEIGHT_GRADIENT(strict_64x96, kStrict, 2, 3)
#if NINC_HAS_TF32
NINC_WEIGHT_GRADIENT(split_128x32, kSplit, 4, 1)
NINC_WEIGHT_GRADIENT(split_128x64, kSplit, 4, 2)
NINC_WEIGHT_GRADIENT(split_64x96, kSplit, 2, 3)
NINC_WEIGHT_GRADIENT(reduced_128x32, kReduced, 4, 1)
NINC_WEIGHT_GRADIENT(reduced_128x64, kReduced, 4, 2)
NINC_WEIGHT_GRADIENT(reduced_64x96, kReduced, 2, 3)
#endif

// A block adds up 32 weights of 32 output channels: neighbouring threads read neighbouring output
// channels of a chunk's sums, and write neighbouring weights of one output channel.
extern "C" __global__ void __launch_bounds__(256)
    ninc_conv2d_sum(const __grid_constant__ Conv2dSumArgs args) {
  __shared__ float sums[32][33];
  const int lane = threadIdx.x % 32, line = threadIdx.x / 32;
  const int tiles = (args.columns + 31) / 32;
  const int first = blockIdx.x / tiles * 32, column = blockIdx.x % tiles * 32;
  const int rows = args.reduction + (args.dbias != nullptr ? 1 : 0);
  const int64_t chunk_size = static_cast<int64_t>(args.reduction + 1) * args.packed_columns;
  float sum[4] = {};
  if (column + lane < args.columns) {
    const float* from[4];
    for (int i = 0; i < 4; ++i) {
      const int o = min(first + line + 8 * i, rows - 1);  // a weight's place in dweight(k, ...)
      const int c = o / args.taps;
      const int e = o == args.reduction ? o : (o - c * args.taps) * args.channels + c;
      from[i] = args.partial + static_cast<int64_t>(e) * args.packed_columns + column + lane;
    }
    // Many loads under way at a time, added in their order.
    constexpr int kAhead = 8;
    for (int chunk = 0; chunk < args.chunks; chunk += kAhead) {
      float value[kAhead][4];
      for (int j = 0; j < kAhead; ++j) {
        for (int i = 0; i < 4; ++i) {
          if (chunk + j < args.chunks) value[j][i] = from[i][(chunk + j) * chunk_size];
        }
      }
      for (int j = 0; j < kAhead; ++j) {
        for (int i = 0; i < 4; ++i) {
          if (chunk + j < args.chunks) sum[i] += value[j][i];
        }
      }
    }
  }
  for (int i = 0; i < 4; ++i) sums[line + 8 * i][lane] = sum[i];
  __syncthreads();
  for (int i = 0; i < 4; ++i) {
    const int k = column + line + 8 * i, o = first + lane;
    if (k >= args.columns || o >= rows) continue;
    const float value = sums[lane][line + 8 * i];
    if (o < args.reduction) {
      args.dweight[static_cast<int64_t>(k) * args.reduction + o] = value;
    } else {
      args.dbias[k] = value;
    }
  }
}

}  // namespace ninc::cuda
