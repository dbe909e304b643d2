// What the kernels of mlpconv.cu are given.
#pragma once

#include <cstdint>

#include "cuda/conv2d/conv2d.h"

namespace ninc::cuda {

inline constexpr int kMaxChain = 8;  // layers

struct ChainLayer {
  const float* packed;  // see PackArgs
  const float* bias;    // or null
  float* y;             // where the layer's output is wanted in memory, or null
  Limits limits;
  int32_t columns;         // output channels
  int32_t packed_columns;  // the same rounded up to whole warp tiles
  int32_t stages;          // reduction stages
  uint32_t pairs;          // whether y allows two floats at once
};

struct MlpConvArgs {
  Gather gather;  // of the first layer
  int32_t layers;
  ChainLayer layer[kMaxChain];
};

// The shared memory of a block of kRows pixels whose layers have at most kColumns channels, in
// floats: the map between two layers, with the gathered stages of the first layer in its place
// before there is one; the stages of weights; where each pixel comes from (see GatherAlongDepth).
// Few enough for a block on every device, 64 KB.
template <int kRows, int kColumns>
struct ChainMemory {
  static constexpr int kPacked = kRows * kColumns;
  static constexpr int kPixels = kPacked + kStages * kColumns * kDepth;
  static constexpr int kBytes = (kPixels + 4 * kRows) * 4;
  static_assert(kStages * kDepth <= kColumns, "the gathered stages fit where the map will be");
  static_assert(kBytes <= 64 * 1024);
};

}  // namespace ninc::cuda
