// Includes HWY_TARGET_INCLUDE once for each instruction set we ship. No include guard: every kernel
// file includes it once, on purpose.
//
// AVX-512 (Skylake's), AVX2 with FMA, NEON, and one lane for everything else. SSE targets would add
// a third to the library for processors that stopped being sold in 2013.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (~(HWY_AVX3 | HWY_AVX2 | HWY_NEON | HWY_EMU128 | HWY_SCALAR))
#endif
#include <hwy/foreach_target.h>
