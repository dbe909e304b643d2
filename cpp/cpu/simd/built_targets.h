// The instruction sets kernels are compiled for, as Highway's HWY_TARGETS and HWY_STATIC_TARGET.
//
// AVX-512 (Skylake's), AVX2 with FMA, NEON, and one lane for everything else. SSE targets would add
// a third to the library for processors that stopped being sold in 2013. The compiler's own level
// is the least that is built: `-march=haswell -maes` leaves one lane out, -march=native on a
// processor with AVX-512 AVX2 too, and -DHWY_COMPILE_ONLY_STATIC all above that level.
#pragma once

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (~(HWY_AVX3 | HWY_AVX2 | HWY_NEON | HWY_EMU128 | HWY_SCALAR))
#endif
#include <hwy/detect_targets.h>

#if defined(HWY_COMPILE_ONLY_STATIC) && HWY_ARCH_X86 && \
    (HWY_STATIC_TARGET == HWY_SCALAR || HWY_STATIC_TARGET == HWY_EMU128)
#error "HWY_COMPILE_ONLY_STATIC without -march=haswell -maes or more leaves one lane alone"
#endif
