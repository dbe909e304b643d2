// Dropout over a stretch of positions, for the kernels that drop what they read or write anyway.
//
// Included once for each target, as simd-inl.h.
#if defined(NINC_CPU_DROPOUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NINC_CPU_DROPOUT_INL_H_
#undef NINC_CPU_DROPOUT_INL_H_
#else
#define NINC_CPU_DROPOUT_INL_H_
#endif

#include <algorithm>

#include "cpu/elementwise/dropout.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {

using DU = hn::RebindToUnsigned<D>;
using U = hn::Vec<DU>;

// Positions whose words are drawn at once.
constexpr int64_t kDrawn = 4 * kLanes;

// words[4·b + j] = Philox(block + b)[j] for b < kLanes.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void DrawWords(const DropoutMask& mask, uint64_t block, uint32_t* words) {
  const PhiloxCounter drawn = Philox4x32(BlockCounter(block, mask.step), mask.keys[0]);
  std::copy(drawn.begin(), drawn.end(), words);
}
#else
// A counter's word stands in the lower half of 64 bits, the upper half is of no account: so a
// product's halves are where the next round wants them but for one shift. Counters are in such an
// order that what comes out needs no more than an interleaving. Two vectors of them hide each
// other's latencies. `block` is a multiple of kLanes.
HWY_INLINE void DrawWords(const DropoutMask& mask, uint64_t block, uint32_t* words) {
  const hn::RepartitionToWide<DU> wide;
  const auto narrow = [](auto v) HWY_ATTR { return hn::BitCast(DU(), v); };
  const auto lane = hn::Iota(wide, 0);
  const auto odd = hn::Ne(hn::And(lane, hn::Set(wide, 1)), hn::Zero(wide));
  const auto half = hn::IfThenElseZero(odd, hn::Set(wide, static_cast<uint64_t>(kLanes / 4)));
  // Blocks of one call share their upper 32 bits.
  const PhiloxCounter first = BlockCounter(block, mask.step);
  const auto low = hn::Add(hn::Set(wide, first[0]), hn::Add(hn::ShiftRight<1>(lane), half));
  using W = hn::Vec<decltype(wide)>;
  W c0[2] = {low, hn::Add(low, hn::Set(wide, static_cast<uint64_t>(kLanes / 2)))};
  W c1[2], c2[2], c3[2];
  for (int v = 0; v < 2; ++v) {
    c1[v] = hn::Set(wide, first[1]);
    c2[v] = hn::Set(wide, first[2]);
    c3[v] = hn::Set(wide, first[3]);
  }
  const U m0 = hn::Set(DU(), kPhiloxM0), m1 = hn::Set(DU(), kPhiloxM1);
  for (const PhiloxKey& key : mask.keys) {
    const W k0 = hn::Set(wide, key[0]), k1 = hn::Set(wide, key[1]);
    for (int v = 0; v < 2; ++v) {
      const W p0 = hn::MulEven(narrow(c0[v]), m0), p1 = hn::MulEven(narrow(c2[v]), m1);
      c0[v] = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1[v]), k0);
      c2[v] = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3[v]), k1);
      c1[v] = p1;
      c3[v] = p0;
    }
  }
  for (int v = 0; v < 2; ++v, words += 2 * kLanes) {
    const auto pair = [&](W even, W after) HWY_ATTR {
      return hn::BitCast(wide, hn::OddEven(narrow(hn::ShiftLeft<32>(after)), narrow(even)));
    };
    const W c01 = pair(c0[v], c1[v]), c23 = pair(c2[v], c3[v]);
    hn::StoreU(narrow(hn::InterleaveLower(wide, c01, c23)), DU(), words);
    hn::StoreU(narrow(hn::InterleaveUpper(wide, c01, c23)), DU(), words + kLanes);
  }
}
#endif

// Calls step(i, lanes, slice, dropped) for slices of `lanes` lanes that cover [0, count), where
// position 0 is `first` of the run's.
template <class Step>
HWY_INLINE void DrawStretch(const DropoutMask& mask, int64_t first, int64_t count, Step step) {
  HWY_ALIGN uint32_t words[kDrawn + kLanes] = {};  // a last slice loads past what was drawn
  const U limit = hn::Set(DU(), mask.threshold);
  for (int64_t i = 0; i < count;) {
    const int64_t position = mask.first + first + i;
    const int64_t skip = position % kDrawn;
    DrawWords(mask, static_cast<uint64_t>(position - skip) / 4, words);
    const int64_t drawn = std::min(count - i, kDrawn - skip);
    ForEachSlice<1>(drawn, [&](int64_t j, auto slice) HWY_ATTR {
      const M dropped = hn::RebindMask(D(), hn::Lt(hn::LoadU(DU(), words + skip + j), limit));
      step(i + j, std::min(kLanes, drawn - j), slice, dropped);
    });
    i += drawn;
  }
}

}  // namespace
}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
