// What the host works out of a Conv2dProblem before it launches anything: the matrix product that a
// pass comes to, its tiles, and the structs that kernels share.
#pragma once

#include <cstdint>
#include <iterator>
#include <string>

#include "cuda/common/launch.h"
#include "cuda/conv2d/conv2d.h"
#include "cuda/conv2d/conv2d_narrow.h"
#include "ninc/problem.h"
#include "ninc/status.h"

namespace ninc::cuda {

inline int64_t RoundUp(int64_t a, int64_t b) { return CeilDiv(a, b) * b; }

// Blocks of warp tiles, most columns last. Which one is a matter of the columns alone: the fewest
// idle warps, then the fewest times that pixels are read.
enum class BlockTile { k128x32, k128x64, k64x96 };
struct BlockSize {
  int64_t rows, columns;
  uint32_t threads() const { return static_cast<uint32_t>(rows * columns / kWarpTile); }
};
inline constexpr BlockSize kBlockSizes[] = {{128, 32}, {128, 64}, {64, 96}};  // by BlockTile
inline constexpr const char* kBlockNames[] = {"128×32", "128×64", "64×96"};
inline constexpr int kBlockTiles = std::size(kBlockSizes);
inline BlockSize SizeOf(BlockTile tile) { return kBlockSizes[static_cast<int>(tile)]; }
BlockTile ChooseBlockTile(int64_t columns);

// Columns that ninc_conv2d_narrow takes.
inline constexpr int64_t kNarrowColumns = 16;
inline constexpr int64_t kNarrowRows = 64;

// Whether a gradient is conv2d_narrow.cu's: of a 1×1 layer with at most kNarrowOutputs channels.
bool IsNarrowGradient(const Conv2dProblem& problem, Pass pass);
// Threads of its blocks, one an input channel.
uint32_t NarrowThreads(int64_t channels);

// 0 strict, 1 split, 2 reduced: the order of the kernels' tables.
int PrecisionIndex(ConvMethod method);
const char* PrecisionName(ConvMethod method);  // "split tf32"

// "implicit gemm 64×96, split tf32"
std::string Conv2dAlgorithm(const Conv2dProblem& problem, Pass pass);

// A pass as a product of `rows` by `columns` by `reduction`; for weight gradients those of the
// forward pass, whose rows are then summed over.
struct ProductShape {
  int64_t rows, columns, channels, taps;
  int64_t reduction() const { return channels * taps; }
  int64_t steps() const { return CeilDiv(reduction(), kDepth); }
  int64_t packed_columns() const { return RoundUp(columns, kWarpTile); }
  int64_t packed_size() const { return steps() * kDepth * packed_columns(); }
};
ProductShape ShapeOf(const Conv2dProblem& problem, Pass pass);  // groups: channels of one group

// InvalidShape where an array has 2^31 elements or a coordinate could leave 30 bits.
Status CheckSize(const Conv2dProblem& problem);

FastDivisor MakeDivisor(int64_t divisor);
// All but the picture: x for kForward and kBackwardWeights, dy for kBackwardData.
Gather MakeGather(const Conv2dProblem& problem, Pass pass);
inline void SetPicture(Gather& gather, const float* picture) {
  gather.picture = picture;
  gather.vectors = gather.channels % 4 == 0 && IsAligned(picture, 16);
}

// Chunks of pixels that a weight gradient is summed in: of `chunk` pixels each, with so many blocks
// for each chunk. It follows from the shape alone, so that sums are the same on every device.
struct Chunks {
  int64_t chunk, count;
};
Chunks SplitPixels(int64_t pixels, int64_t blocks, int64_t least);

}  // namespace ninc::cuda
