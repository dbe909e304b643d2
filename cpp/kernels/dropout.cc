#include "kernels/dropout.h"

#include "kernels/blocks.h"
#include "kernels/philox.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dropout.cc"
#include "kernels/foreach_target.h"
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {

using DU = hn::RebindToUnsigned<D>;
using U = hn::Vec<DU>;

// words[4·b + j] = Philox(block + b)[j] for b < kLanes: one block a lane.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void DrawWords(PhiloxKey key, uint64_t step, uint64_t block, uint32_t* words) {
  const PhiloxCounter drawn = Philox4x32(BlockCounter(block, step), key);
  std::copy(drawn.begin(), drawn.end(), words);
}
#else
// hi and lo halves of a(i) * m. Products are 64 bits wide, so even and odd lanes go separately.
HWY_INLINE void MultiplyWide(U a, uint32_t m, U& hi, U& lo) {
  const hn::RepartitionToWide<DU> wide;
  const U factor = hn::Set(DU(), m);
  const auto even = hn::MulEven(a, factor);
  const auto odd = hn::MulEven(hn::BitCast(DU(), hn::ShiftRight<32>(hn::BitCast(wide, a))), factor);
  hi = hn::OddEven(hn::BitCast(DU(), odd), hn::BitCast(DU(), hn::ShiftRight<32>(even)));
  lo = hn::OddEven(hn::BitCast(DU(), hn::ShiftLeft<32>(odd)), hn::BitCast(DU(), even));
}

// Blocks of one call share their upper 32 bits: `block` is a multiple of kLanes.
HWY_INLINE void DrawWords(PhiloxKey key, uint64_t step, uint64_t block, uint32_t* words) {
  const PhiloxCounter first = BlockCounter(block, step);
  U c0 = hn::Iota(DU(), first[0]), c1 = hn::Set(DU(), first[1]);
  U c2 = hn::Set(DU(), first[2]), c3 = hn::Set(DU(), first[3]);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    U hi0, lo0, hi1, lo1;
    MultiplyWide(c0, kPhiloxM0, hi0, lo0);
    MultiplyWide(c2, kPhiloxM1, hi1, lo1);
    c0 = hn::Xor(hn::Xor(hi1, c1), hn::Set(DU(), key[0]));
    c2 = hn::Xor(hn::Xor(hi0, c3), hn::Set(DU(), key[1]));
    c1 = lo1;
    c3 = lo0;
    key = {key[0] + kPhiloxW0, key[1] + kPhiloxW1};
  }
  hn::StoreInterleaved4(c0, c1, c2, c3, DU(), words);
}
#endif

}  // namespace

// threshold < 2^32: the word below which a position is dropped.
void Dropout(int64_t count, uint32_t threshold, float scale, PhiloxKey key, uint64_t step,
             const float* x, float* y, int threads) {
  static_assert(kElementBlock % (4 * 64) == 0);  // blocks begin where a vector of counters does
  ParallelBlocks(threads, count, kElementBlock, [&](int64_t begin, int64_t end) HWY_ATTR {
    HWY_ALIGN uint32_t words[4 * kLanes];
    const V factor = hn::Set(D(), scale);
    const U limit = hn::Set(DU(), threshold);
    for (int64_t i = begin; i < end; i += 4 * kLanes) {
      DrawWords(key, step, static_cast<uint64_t>(i) / 4, words);
      ForEachSlice<1>(std::min(end - i, 4 * kLanes), [&](int64_t j, auto slice) HWY_ATTR {
        const auto dropped = hn::RebindMask(D(), hn::Lt(hn::Load(DU(), words + j), limit));
        const V kept = hn::Mul(slice.Load(x + i + j), factor);
        slice.Store(hn::IfThenZeroElse(dropped, kept), y + i + j);
      });
    }
  });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

void Dropout(int64_t count, float p, uint32_t layer, const DropoutKey& key, const float* x,
             float* y, int threads) {
  const uint64_t threshold = DropThreshold(p);
  if (threshold >> 32 != 0) {  // p = 1 drops all, and 1 / (1 - p) is infinite
    std::fill_n(y, count, 0.0f);
    return;
  }
  NINC_DISPATCH(Dropout)
  (count, static_cast<uint32_t>(threshold), 1.0f / (1.0f - p), LayerKey(key.seed, layer), key.step,
   x, y, threads);
}

}  // namespace ninc::cpu
#endif
