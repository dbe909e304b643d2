// An mlpconv (Lin, Chen, Yan 2013) in one kernel: a block takes its pixels through convolution and
// 1×1 layers; what one layer makes of them stays in shared memory for the next, and only what is
// wanted is written to memory. A pool after the chain is a kernel of its own: its windows cross
// the blocks' borders.
//
// Weights come through the same stages as in conv2d.cu, without a break from layer to layer: the
// next layer's first stages arrive while this one's last are used. The sums are those of the single
// layers, term by term, but for layers of 16 channels and fewer, which alone have a kernel of their
// own (ninc_conv2d_strict_64x16 of conv2d.cu).
#include "cuda/fused/mlpconv.h"

#include "cuda/common/vector.cuh"
#include "cuda/conv2d/conv2d_gather.cuh"
#include "cuda/conv2d/conv2d_tile.cuh"

namespace ninc::cuda {
namespace {

// Finishes a warp's accumulators and writes them: rows from `row` of the block on and columns from
// `column` on into the map, of which 16 columns of all kRows pixels follow each other as a tile
// along depth, and into the layer's y, whose rows the block has from `first_row` on.
template <int kRows>
__device__ __forceinline__ void WriteLayer(const ChainLayer& layer, int rows, int first_row,
                                           int row, int column, const Accumulators& acc,
                                           float* map) {
  const int g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int n = column + 16 * i + 2 * g;
    const bool first = n < layer.columns, second = n + 1 < layer.columns;
    float2 bias = make_float2(0.0f, 0.0f);
    if (layer.bias != nullptr && first) bias = LoadPair(layer.bias + n, false, second);
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      // Half of the lanes take the second pixel first: then rows of both halves of the banks are
      // written at a time.
      const bool odd = ((j & 1) ^ (t >> 1)) != 0;
      const int m = row + 8 * (j >> 1) + 2 * t + (odd ? 1 : 0);
      const float(&sum)[4] = acc[i][j >> 1];
      const float2 v = make_float2(Activated(layer.limits, (odd ? sum[1] : sum[0]) + bias.x),
                                   Activated(layer.limits, (odd ? sum[3] : sum[2]) + bias.y));
      if (map != nullptr) {
        // The next layer's padding, past the last channel, is zero; the sums there are of products
        // with zeros, which an infinite pixel makes NaN.
        float* tile = map + n / kDepth * (kRows * kDepth);
        *reinterpret_cast<float2*>(tile + SwizzledWord(m, n % kDepth / 4) + n % 4) =
            make_float2(first ? v.x : 0.0f, second ? v.y : 0.0f);
      }
      if (layer.y == nullptr || !first || first_row + m >= rows) continue;
      float* to = layer.y + static_cast<int64_t>(first_row + m) * layer.columns + n;
      StorePair(to, v, layer.pairs, second);
    }
  }
}

template <Precision kPrecision, int kWarpRows, int kWarpColumns>
__device__ __forceinline__ void RunChain(const MlpConvArgs& args) {
  constexpr int kRows = kWarpTile * kWarpRows, kColumns = kWarpTile * kWarpColumns;
  constexpr int kThreads = 32 * kWarpRows * kWarpColumns;
  using Memory = ChainMemory<kRows, kColumns>;
  extern __shared__ float4 dynamic[];
  float* map = reinterpret_cast<float*>(dynamic);
  int4* pixels = reinterpret_cast<int4*>(map + Memory::kPixels);

  const int first_row = blockIdx.x * kRows;
  const int warp = threadIdx.x / 32;
  const int warp_row = warp / kWarpColumns * kWarpTile;
  const int warp_column = warp % kWarpColumns * kWarpTile;
  const bool has_rows = first_row + warp_row < args.gather.rows;

  const uint32_t map_address = SharedAddress(map);
  const uint32_t packed_address = map_address + Memory::kPacked * 4;
  GatherAlongDepth<kRows, kThreads> gather(args.gather, first_row, pixels,
                                           map_address + Memory::kPixels * 4);
  PackedCopier<kColumns, kThreads> weights(args.layer[0].packed, args.layer[0].packed_columns, 0);
  const LaneOffsets lane = AlongDepthOffsets<kPrecision>();
  const uint32_t lane_packed = Kept(lane.packed + warp_column * kDepth * 4);
  const uint32_t lane_pixels = Kept(lane.pixels + warp_row * kDepth * 4);
  int copied_layer = 0, left = args.layer[0].stages;  // what is copied next
  int stage = 1, next = 0;
#pragma unroll 1
  for (int layer = 0; layer < args.layers; ++layer) {
    const bool useful = has_rows && warp_column < args.layer[layer].packed_columns;
    const int stages = args.layer[layer].stages;
    Accumulators acc = {};
#pragma unroll 1
    for (int turn = layer == 0 ? 1 - kStages : 0; turn < stages; ++turn) {
      WaitForCopies<kStages - 2>();
      __syncthreads();  // the stage has arrived for all, and all are done with the one before it
      if (copied_layer < args.layers) {
        if (copied_layer == 0) gather.Copy(map_address + next * kRows * kDepth * 4);
        weights.Copy(packed_address + next * kColumns * kDepth * 4);
        if (--left == 0 && ++copied_layer < args.layers) {
          const ChainLayer& from = args.layer[copied_layer];
          left = from.stages;
          weights = PackedCopier<kColumns, kThreads>(from.packed, from.packed_columns, 0);
        }
      }
      CommitCopies();
      if (useful && turn >= 0) {
        const int tile = layer == 0 ? stage : turn;
        AddAlongDepth<kPrecision>(packed_address + stage * kColumns * kDepth * 4 + lane_packed,
                                  map_address + tile * kRows * kDepth * 4 + lane_pixels, acc);
      }
      stage = stage + 1 == kStages ? 0 : stage + 1;
      next = next + 1 == kStages ? 0 : next + 1;
    }
    const bool last = layer + 1 == args.layers;
    if (!last) __syncthreads();  // all have read the map that is written over now
    if (useful) {
      WriteLayer<kRows>(args.layer[layer], args.gather.rows, first_row, warp_row, warp_column, acc,
                        last ? nullptr : map);
    }
  }
}

}  // namespace

#define NINC_MLPCONV(name, precision, warp_rows, warp_columns)                   \
  extern "C" __global__ void __launch_bounds__(32 * warp_rows * warp_columns, 2) \
      ninc_mlpconv_##name(const __grid_constant__ MlpConvArgs args) {            \
    RunChain<Precision::precision, warp_rows, warp_columns>(args);               \
  }

NINC_MLPCONV(strict_64x96, kStrict, 2, 3)
NINC_MLPCONV(strict_32x192, kStrict, 1, 6)
#if NINC_HAS_TF32
NINC_MLPCONV(split_64x96, kSplit, 2, 3)
NINC_MLPCONV(split_32x192, kSplit, 1, 6)
NINC_MLPCONV(reduced_64x96, kReduced, 2, 3)
NINC_MLPCONV(reduced_32x192, kReduced, 1, 6)
#endif

}  // namespace ninc::cuda
