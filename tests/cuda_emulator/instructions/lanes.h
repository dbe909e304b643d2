// Executors of operations that do the same in every lane, made from a function of one lane's
// values.
#pragma once

#include "cuda_emulator/machine/warp.h"

namespace ninc::emulator {

// Destinations may be sources, lane by lane; that is no reason not to vectorise (ivdep).
template <typename D, typename A, auto kFunction>
void Unary(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  D* const to = warp.Lanes<D>(instruction.to[0]);
  const A* const a = warp.Lanes<A>(instruction.from[0]);
  if (lanes == kAllLanes) {
#pragma GCC ivdep
    for (int lane = 0; lane < kLanes; ++lane) to[lane] = kFunction(a[lane]);
  } else {
    for (; lanes != 0; lanes &= lanes - 1) {
      const int lane = std::countr_zero(lanes);
      to[lane] = kFunction(a[lane]);
    }
  }
}

template <typename D, typename A, typename B, auto kFunction>
void Binary(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  D* const to = warp.Lanes<D>(instruction.to[0]);
  const A* const a = warp.Lanes<A>(instruction.from[0]);
  const B* const b = warp.Lanes<B>(instruction.from[1]);
  if (lanes == kAllLanes) {
#pragma GCC ivdep
    for (int lane = 0; lane < kLanes; ++lane) to[lane] = kFunction(a[lane], b[lane]);
  } else {
    for (; lanes != 0; lanes &= lanes - 1) {
      const int lane = std::countr_zero(lanes);
      to[lane] = kFunction(a[lane], b[lane]);
    }
  }
}

template <typename D, typename A, typename B, typename C, auto kFunction>
void Ternary(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  D* const to = warp.Lanes<D>(instruction.to[0]);
  const A* const a = warp.Lanes<A>(instruction.from[0]);
  const B* const b = warp.Lanes<B>(instruction.from[1]);
  const C* const c = warp.Lanes<C>(instruction.from[2]);
  if (lanes == kAllLanes) {
#pragma GCC ivdep
    for (int lane = 0; lane < kLanes; ++lane) to[lane] = kFunction(a[lane], b[lane], c[lane]);
  } else {
    for (; lanes != 0; lanes &= lanes - 1) {
      const int lane = std::countr_zero(lanes);
      to[lane] = kFunction(a[lane], b[lane], c[lane]);
    }
  }
}

}  // namespace ninc::emulator
