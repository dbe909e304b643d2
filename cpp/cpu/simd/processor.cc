#include "cpu/simd/processor.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <cstdint>
#include <initializer_list>

namespace ninc::cpu {
namespace {

#if defined(__x86_64__) || defined(__i386__)

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// CPUID; zeros where the processor does not know the leaf.
Registers Cpuid(unsigned leaf, unsigned subleaf) {
  Registers r;
  if (__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {};
  return r;
}

constexpr bool HasBits(uint64_t word, std::initializer_list<int> bits) {
  for (const int bit : bits) {
    if ((word >> bit & 1) == 0) return false;
  }
  return true;
}

// XCR0: which registers the operating system saves when it switches threads.
uint64_t SavedRegisters() {
  constexpr int kOsxsave = 27;
  if (!HasBits(Cpuid(1, 0).ecx, {kOsxsave})) return 0;  // XGETBV would be an invalid instruction
  uint32_t low = 0, high = 0;
  asm("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

#endif

}  // namespace

#if defined(__x86_64__) || defined(__i386__)

bool HasAvx2() {
  constexpr int kXmm = 1, kYmm = 2;                                           // XCR0
  constexpr int kPclmulqdq = 1, kFma = 12, kAes = 25, kAvx = 28, kF16c = 29;  // leaf 1, ECX
  constexpr int kBmi1 = 3, kAvx2 = 5, kBmi2 = 8;                              // leaf 7, EBX
  return HasBits(SavedRegisters(), {kXmm, kYmm}) &&
         HasBits(Cpuid(1, 0).ecx, {kPclmulqdq, kFma, kAes, kAvx, kF16c}) &&
         HasBits(Cpuid(7, 0).ebx, {kBmi1, kAvx2, kBmi2});
}

bool HasAvx512() {
  constexpr int kMasks = 5, kZmmLow = 6, kZmmHigh = 7;            // XCR0
  constexpr int kF = 16, kDq = 17, kCd = 28, kBw = 30, kVl = 31;  // leaf 7, EBX
  return HasAvx2() && HasBits(SavedRegisters(), {kMasks, kZmmLow, kZmmHigh}) &&
         HasBits(Cpuid(7, 0).ebx, {kF, kDq, kCd, kBw, kVl});
}

#else

bool HasAvx2() { return false; }
bool HasAvx512() { return false; }

#endif

#if defined(__x86_64__) && defined(__linux__)

namespace {
constexpr long kTileData = 18;  // the state component of the matrix units' registers
}

bool HasAmx() {
  constexpr int kBf16 = 22, kTile = 24;  // leaf 7, EDX
  constexpr int kAvx512Bf16 = 5;         // leaf 7, subleaf 1, EAX
  if (!HasAvx512() || !HasBits(Cpuid(7, 0).edx, {kBf16, kTile})) return false;
  if (!HasBits(Cpuid(7, 1).eax, {kAvx512Bf16})) return false;
  constexpr long kGetSupported = 0x1021;  // ARCH_GET_XCOMP_SUPP
  uint64_t supported = 0;
  return syscall(SYS_arch_prctl, kGetSupported, &supported) == 0 && HasBits(supported, {kTileData});
}

bool MayUseAmx() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

#else

bool HasAmx() { return false; }
bool MayUseAmx() { return false; }

#endif

}  // namespace ninc::cpu
