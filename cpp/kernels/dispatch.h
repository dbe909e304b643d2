// One kernel source, compiled once for each instruction set, chosen at run time.
//
// Highway's own HWY_DYNAMIC_DISPATCH needs libhwy.so; a small table of our own keeps Highway
// header-only. A kernel file looks like this:
//
//     #undef HWY_TARGET_INCLUDE
//     #define HWY_TARGET_INCLUDE "kernels/relu.cc"
//     #include "kernels/foreach_target.h"      // sets the targets we build, then Highway's
//     #include <hwy/highway.h>
//
//     HWY_BEFORE_NAMESPACE();
//     namespace ninc::cpu::HWY_NAMESPACE {
//     void Relu(...) { ... }
//     }  // namespace ninc::cpu::HWY_NAMESPACE
//     HWY_AFTER_NAMESPACE();
//
//     #if HWY_ONCE
//     namespace ninc::cpu {
//     void Relu(...) { NINC_DISPATCH(Relu)(...); }
//     }  // namespace ninc::cpu
//     #endif
#pragma once

#include <hwy/detect_targets.h>

#include "ninc/target.h"

// The build every processor of the architecture runs: one lane where Highway's 128-bit emulation is
// off (1.0.3 with gcc), NEON on 64-bit Arm.
#if HWY_STATIC_TARGET == HWY_EMU128
#define NINC_BASELINE(Function) (&N_EMU128::Function)
#elif HWY_STATIC_TARGET == HWY_NEON
#define NINC_BASELINE(Function) (&N_NEON::Function)
#else
#define NINC_BASELINE(Function) (&N_SCALAR::Function)
#endif

// The address of Function in the namespace of the target in use.
#if HWY_ARCH_X86
#define NINC_DISPATCH(Function)                                          \
  (::ninc::ChosenTarget() >= ::ninc::Target::kAvx512 ? &N_AVX3::Function \
   : ::ninc::ChosenTarget() == ::ninc::Target::kAvx2 ? &N_AVX2::Function \
                                                     : NINC_BASELINE(Function))
#else
#define NINC_DISPATCH(Function) NINC_BASELINE(Function)
#endif
