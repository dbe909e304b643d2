// What a thread of a RowSplit does: walks down its columns, and adds up with the threads that walk
// the same columns on other rows.
#pragma once

#include "cuda/common/rows.h"
#include "cuda/common/vector.cuh"

namespace ninc::cuda {

// The columns and rows of one thread.
template <int kWidth>
struct Walk {
  __device__ __forceinline__ explicit Walk(const RowSplit& split)
      : Walk(split, blockIdx.x, blockIdx.y) {}
  __device__ __forceinline__ Walk(const RowSplit& split, uint32_t tile, uint32_t run)
      : channels(split.channels),
        lines(RowSplit::kThreads >> split.lane_bits),
        line(threadIdx.x >> split.lane_bits) {
    const uint32_t lane = threadIdx.x & ((1u << split.lane_bits) - 1);
    channel = ((static_cast<int64_t>(tile) << split.lane_bits) + lane) * kWidth;
    inside = channel < channels;
    begin = run * split.run;
    end = begin + split.run < split.rows ? begin + split.run : split.rows;
  }

  // Calls step(i) for each of the thread's rows, i: the offset of its first column there.
  template <class Step>
  __device__ __forceinline__ void ForEachRow(Step step) const {
    if (!inside) return;
    const int64_t stride = lines * channels;
    int64_t i = (begin + line) * channels + channel;
    for (int64_t row = begin + line; row < end; row += lines, i += stride) step(i);
  }

  int64_t channels, channel, begin, end;
  uint32_t lines, line;
  bool inside;
};

// Joins the values of a block's lines in pairs, the same pairs always: afterwards line 0 has them
// all. shared: kCount * RowSplit::kThreads floats. join(own, other) changes own. All threads of the
// block must call.
template <int kCount, class Join>
__device__ __forceinline__ void JoinLines(uint32_t lane_bits, float (&own)[kCount], float* shared,
                                          Join join) {
  const uint32_t line = threadIdx.x >> lane_bits;
  for (uint32_t apart = (RowSplit::kThreads >> lane_bits) / 2; apart > 0; apart /= 2) {
    if (line >= apart && line < 2 * apart) {
      for (int i = 0; i < kCount; ++i) shared[i * RowSplit::kThreads + threadIdx.x] = own[i];
    }
    __syncthreads();
    if (line < apart) {
      float other[kCount];
      const uint32_t from = threadIdx.x + (apart << lane_bits);
      for (int i = 0; i < kCount; ++i) other[i] = shared[i * RowSplit::kThreads + from];
      join(own, other);
    }  // the next turn writes to other places: one barrier a turn is enough
  }
}

template <int kCount>
__device__ __forceinline__ void SumLines(uint32_t lane_bits, float (&own)[kCount], float* shared) {
  JoinLines(lane_bits, own, shared, [](float(&a)[kCount], const float(&b)[kCount]) {
    for (int i = 0; i < kCount; ++i) a[i] += b[i];
  });
}

}  // namespace ninc::cuda
