// mma.sync on TF32 operands, D = A * B + C with D, C: 16×8, A: 16×K, B: K×8 and K = 4 or 8. Lane
// 4 * g + t holds, of A, rows g and g + 8 at columns t (and t + 4); of B, column g at rows t (and
// t + 4); of C and D, rows g and g + 8 at columns 2 t and 2 t + 1.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "cuda_emulator/instructions/float.h"
#include "cuda_emulator/instructions/lanes.h"
#include "cuda_emulator/instructions/opcodes.h"
#include "cuda_emulator/machine/block.h"

namespace ninc::emulator {
namespace {

// Tensor cores read the upper 19 bits of an operand, whatever the rest holds.
double Tf32(uint32_t bits) { return std::bit_cast<float>(bits & 0xffffe000); }

// Their sums are cut towards zero, not rounded to nearest: measured on every generation, and worth
// imitating, as it is the larger error.
float Cut(double sum) {
  const auto nearest = static_cast<float>(sum);
  if (!std::isfinite(nearest) || std::fabs(static_cast<double>(nearest)) <= std::fabs(sum)) {
    return Canonical(nearest);
  }
  return std::bit_cast<float>(std::bit_cast<uint32_t>(nearest) - 1);
}

template <int kDepth>
void Mma(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  if (lanes != kAllLanes) {
    return warp.Fail(instruction, std::countr_zero(lanes),
                     "mma by " + std::to_string(std::popcount(lanes)) + " of the warp's 32 lanes");
  }
  if (warp.block().counting()) warp.block().counters().mma_operations += 16 * 8 * kDepth;
  constexpr int kHalves = kDepth / 4;
  double a[16][kDepth];
  double b[kDepth][8];
  double sums[16][8];
  const uint32_t* a_lanes[2 * kHalves];
  const uint32_t* b_lanes[kHalves];
  const float* c_lanes[4];
  for (int i = 0; i < 2 * kHalves; ++i) a_lanes[i] = warp.Lanes<uint32_t>(instruction.from[i]);
  for (int i = 0; i < kHalves; ++i) {
    b_lanes[i] = warp.Lanes<uint32_t>(instruction.from[2 * kHalves + i]);
  }
  for (int i = 0; i < 4; ++i) c_lanes[i] = warp.Lanes<float>(instruction.from[3 * kHalves + i]);
  for (int lane = 0; lane < kLanes; ++lane) {
    const int g = lane / 4;
    const int t = lane % 4;
    for (int half = 0; half < kHalves; ++half) {
      a[g][t + 4 * half] = Tf32(a_lanes[2 * half][lane]);
      a[g + 8][t + 4 * half] = Tf32(a_lanes[2 * half + 1][lane]);
      b[t + 4 * half][g] = Tf32(b_lanes[half][lane]);
    }
    sums[g][2 * t] = c_lanes[0][lane];
    sums[g][2 * t + 1] = c_lanes[1][lane];
    sums[g + 8][2 * t] = c_lanes[2][lane];
    sums[g + 8][2 * t + 1] = c_lanes[3][lane];
  }
  // Products of 11-bit mantissas are exact, and their sums nearly so.
  for (int row = 0; row < 16; ++row) {
    double sum[8];
    std::copy_n(sums[row], 8, sum);
#pragma GCC unroll 8
    for (int k = 0; k < kDepth; ++k) {
      for (int column = 0; column < 8; ++column) sum[column] += a[row][k] * b[k][column];
    }
    std::copy_n(sum, 8, sums[row]);
  }
  float* d_lanes[4];
  for (int i = 0; i < 4; ++i) d_lanes[i] = warp.Lanes<float>(instruction.to[i]);
  for (int lane = 0; lane < kLanes; ++lane) {
    const int g = lane / 4;
    const int t = lane % 4;
    d_lanes[0][lane] = Cut(sums[g][2 * t]);
    d_lanes[1][lane] = Cut(sums[g][2 * t + 1]);
    d_lanes[2][lane] = Cut(sums[g + 8][2 * t]);
    d_lanes[3][lane] = Cut(sums[g + 8][2 * t + 1]);
  }
}

}  // namespace

void DecodeMma(Decoder& d) {
  if (!d.Take("sync") || !d.Take("aligned")) return d.Fail("no .sync.aligned");
  const bool deep = d.NeedOne({"m16n8k4", "m16n8k8"}, "shape") == 1;
  if (!d.Take("row") || !d.Take("col")) return d.Fail("a layout other than .row.col");
  const bool types =
      d.TakeType() == Type::kF32 && d.Take("tf32") && d.Take("tf32") && d.TakeType() == Type::kF32;
  if (!types) return d.Fail("types other than .f32.tf32.tf32.f32");
  if (!d.NeedTarget(80)) return;
  if (!d.NeedOperands(4, 4)) return;
  constexpr const char* kLengths = "fragments of other lengths";
  const size_t halves = deep ? 2 : 1;
  const size_t lengths[] = {4, 2 * halves, halves, 4};
  for (size_t i = 0; i < 4; ++i) {
    const SourceOperand& operand = d.operand(i);
    const size_t parts = operand.kind == SourceOperand::kVector ? operand.parts.size() : 1;
    if (parts != lengths[i]) return d.Fail(kLengths);
  }
  d.ToVector(0, Type::kF32);
  d.FromVector(1, Type::kB32), d.FromVector(2, Type::kB32), d.FromVector(3, Type::kF32);
  d.Run(deep ? &Mma<8> : &Mma<4>);
}

}  // namespace ninc::emulator
