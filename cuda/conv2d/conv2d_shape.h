// What the host works out of a Conv2dProblem before it launches anything: the matrix product that a
// pass comes to, and the structs that kernels share.
#pragma once

#include <cstdint>

#include "cuda/common/launch.h"
#include "cuda/conv2d/conv2d.h"
#include "ninc/problem.h"
#include "ninc/status.h"

namespace ninc::cuda {

inline int64_t RoundUp(int64_t a, int64_t b) { return CeilDiv(a, b) * b; }

// A pass as a product of `rows` by `columns` by `reduction`; for weight gradients those of the
// forward pass, whose rows are then summed over.
struct ProductShape {
  int64_t rows, columns, channels, taps;
  int64_t reduction() const { return channels * taps; }
  int64_t stages() const { return CeilDiv(reduction(), kDepth); }
  int64_t packed_columns() const { return RoundUp(columns, kWarpTile); }
  int64_t packed_size() const { return stages() * kDepth * packed_columns(); }
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
