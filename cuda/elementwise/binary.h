// What the kernels of binary.cu are given.
#pragma once

#include <cstdint>

#include "ninc/function.h"

namespace ninc::cuda {

// y(i) = f(a(·), b(·)) for i < count; the loops as Broadcast has them.
struct BinaryArgs {
  const float* a;
  const float* b;
  float* y;
  int64_t count;
  BinaryFunction function;
  uint32_t alike;    // whether a(i) and b(i) are meant, else the loops say where they lie
  uint32_t vectors;  // whether all arrays allow reading four floats at once
  int64_t counts[4];
  int64_t a_steps[4];
  int64_t b_steps[4];
};

// y = factor · sums of x, as SumWalk says.
struct SumToArgs {
  const float* x;
  float* y;
  float factor;
  int64_t kept[3];
  int64_t summed[3];
  int64_t steps[3];
  int64_t channels;  // of x
};

inline constexpr int kSumThreads = 256;

}  // namespace ninc::cuda
