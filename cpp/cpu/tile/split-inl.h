// What the files of split products share. They use Intel's intrinsics: Highway 1.0.3 knows neither
// matrix units nor bfloat16.
#pragma once

#include <hwy/base.h>

#include "cpu/tile/split_pack.h"

#if HWY_ARCH_X86_64
#if HWY_COMPILER_GCC_ACTUAL  // its own headers: _mm512_undefined_ps
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#define NINC_PUSH_SPLIT_ATTRIBUTES \
  HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,fma")

NINC_PUSH_SPLIT_ATTRIBUTES
namespace ninc::cpu {

constexpr int64_t kLanes = 16;

inline __mmask16 FirstLanes(int64_t count) {
  return static_cast<__mmask16>(count >= kLanes ? 0xffff : count <= 0 ? 0 : (1u << count) - 1);
}

}  // namespace ninc::cpu
HWY_POP_ATTRIBUTES
#endif
