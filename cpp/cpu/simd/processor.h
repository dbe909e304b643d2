// What this processor can compute with, asked of the processor itself: __builtin_cpu_supports asks
// a table of the compiler's runtime, and not every runtime fills it.
#pragma once

namespace ninc::cpu {

bool HasAvx2();    // and the rest of Highway's AVX2 target: FMA, F16C, BMI 1 and 2, AES, PCLMULQDQ
bool HasAvx512();  // Skylake's: F, CD, BW, DQ and VL
bool HasAmx();     // AVX-512 and matrix units with bfloat16

// The operating system gives the registers of matrix units to a process that asks: its signal
// frames grow by 8 KiB, which an alternate signal stack may be too small for. False where it does
// not.
bool MayUseAmx();

}  // namespace ninc::cpu
