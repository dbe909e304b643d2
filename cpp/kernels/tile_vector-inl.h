// What the convolution kernels do with one vector of channels. Included once for each target.
#if defined(NINC_KERNELS_TILE_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NINC_KERNELS_TILE_VECTOR_INL_H_
#undef NINC_KERNELS_TILE_VECTOR_INL_H_
#else
#define NINC_KERNELS_TILE_VECTOR_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

#include "ninc/problem.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));

// The first `count` lanes from memory, zeros behind; reads nothing past them.
HWY_INLINE V LoadFirst(const float* from, int64_t count) {
  if (HWY_LIKELY(count >= kLanes)) return hn::LoadU(D(), from);
  HWY_ALIGN float buffer[kLanes] = {};
  if (count > 0) std::memcpy(buffer, from, count * sizeof(float));
  return hn::Load(D(), buffer);
}

HWY_INLINE void StoreFirst(V v, float* to, int64_t count) {
  if (HWY_LIKELY(count >= kLanes)) return hn::StoreU(v, D(), to);
  HWY_ALIGN float buffer[kLanes];
  hn::Store(v, D(), buffer);
  if (count > 0) std::memcpy(to, buffer, count * sizeof(float));
}

// NaN passes, as it does in numpy: a comparison with NaN is false.
HWY_INLINE V Activate(V v, Activation activation) {
  if (activation.kind == Activation::Kind::kNone) return v;
  const V zero = hn::Zero(D());
  v = hn::IfThenElse(hn::Lt(v, zero), zero, v);
  if (activation.kind == Activation::Kind::kRelu) return v;
  const V six = hn::Set(D(), 6.0f);
  return hn::IfThenElse(hn::Gt(v, six), six, v);
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // include guard
