// Sums over the threads of a warp and of a block, in one fixed order.
#pragma once

#include <cstdint>

namespace ninc::cuda {

inline constexpr uint32_t kAllLanes = 0xFFFFFFFF;

// Every lane gets the sum: each step adds the same two numbers on both sides.
template <class T>
__device__ __forceinline__ T WarpSum(T value) {
  for (int apart = 16; apart > 0; apart /= 2) value += __shfl_xor_sync(kAllLanes, value, apart);
  return value;
}

// The sum over a block of `kThreads`; only thread 0's result is meant to be used. shared: one T for
// each warp.
template <int kThreads, class T>
__device__ __forceinline__ T BlockSum(T value, T* shared) {
  constexpr int kWarps = kThreads / 32;
  value = WarpSum(value);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  if (threadIdx.x >= 32) return value;
  return WarpSum(threadIdx.x < kWarps ? shared[threadIdx.x] : T{});
}

}  // namespace ninc::cuda
