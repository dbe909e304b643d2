// One kernel source, compiled once for each instruction set, chosen at run time.
//
// Highway's own HWY_DYNAMIC_DISPATCH needs libhwy.so; a small table of our own keeps Highway
// header-only. A kernel file looks like this:
//
//     #include "cpu/compile_context.h"
//
//     #undef HWY_TARGET_INCLUDE
//     #define HWY_TARGET_INCLUDE "cpu/elementwise/relu.cc"
//     #include "cpu/simd/foreach_target.h"      // sets the targets we build, then Highway's
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
//     Compiled Compile(const step::Relu& step, const CompileContext& context) {
//       const auto kernel = NINC_DISPATCH(context.target, Relu);
//       return Kernel{[step, kernel](const Run& run) { kernel(run.In(step.x), ...); }};
//     }
//     }  // namespace ninc::cpu
//     #endif
//
// So the target is looked at where a step is compiled, and a run calls what was found there. A
// kernel that other files call directly has a function of the same name beside, which takes the
// target as its first argument.
#pragma once

#include "cpu/simd/built_targets.h"
#include "ninc/target.h"

// The least that was built, which every processor runs that the build is for: one lane where
// Highway's 128-bit emulation is off (1.0.3 with gcc), NEON on 64-bit Arm.
#if HWY_STATIC_TARGET == HWY_AVX3
#define NINC_BASELINE(Function) (&N_AVX3::Function)
#elif HWY_STATIC_TARGET == HWY_AVX2
#define NINC_BASELINE(Function) (&N_AVX2::Function)
#elif HWY_STATIC_TARGET == HWY_EMU128
#define NINC_BASELINE(Function) (&N_EMU128::Function)
#elif HWY_STATIC_TARGET == HWY_NEON
#define NINC_BASELINE(Function) (&N_NEON::Function)
#else
#define NINC_BASELINE(Function) (&N_SCALAR::Function)
#endif

// The address of Function in a target's namespace. AMX's kernels are AVX-512's.
#define NINC_DISPATCH(target, Function) \
  NINC_AVX512_OR(target, Function, NINC_AVX2_OR(target, Function))
#if HWY_TARGETS & HWY_AVX3
#define NINC_AVX512_OR(target, Function, other) \
  ((target) >= ::ninc::Target::kAvx512 ? &N_AVX3::Function : other)
#else
#define NINC_AVX512_OR(target, Function, other) other
#endif
#if HWY_TARGETS & HWY_AVX2
#define NINC_AVX2_OR(target, Function) \
  ((target) == ::ninc::Target::kAvx2 ? &N_AVX2::Function : NINC_BASELINE(Function))
#else
#define NINC_AVX2_OR(target, Function) (static_cast<void>(target), NINC_BASELINE(Function))
#endif
