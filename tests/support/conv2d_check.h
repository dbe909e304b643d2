// What convolutions are asked of the backends, and how far their results may be from the reference.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "support/step_check.h"

namespace ninc::test {

// An algorithm, and the backends that are to compute by it.
struct Algorithm {
  std::string name;
  ConvMethod method;
  std::vector<TestedBackend> backends;
};

// On the GPU all three precisions. On the processor direct convolution, by split products too where
// it has them; winograd_test has the other algorithm.
inline std::vector<Algorithm> Algorithms() {
  if (OnGpu()) {
    TestedBackend gpu = Gpu(), once = gpu;
    gpu.same_bits = true;  // sums do not depend on alignment
    once.settings.resize(1);
    return {{"float32", ConvMethod::kAuto, {gpu}},
            {"strict", ConvMethod::kDirect, {once}},
            {"fast", ConvMethod::kReduced, {once}}};
  }
  std::vector<Algorithm> algorithms = {{"direct", ConvMethod::kDirect, Processors()}};
  if (SupportedTargets().front() == Target::kAmx) {
    algorithms.push_back({"split", ConvMethod::kSplit, {Processor(Target::kAmx)}});
  }
  return algorithms;
}

// Terms of one result's sum: a kernel over a group's channels, and the bias; or all pixels.
inline double TermsOf(const Conv2dProblem& p, Pass pass) {
  const int64_t kernel = p.kernel_h * p.kernel_w;
  if (pass == Pass::kForward) return static_cast<double>(kernel * p.group_in() + 1);
  if (pass == Pass::kBackwardData) return static_cast<double>(kernel * p.group_out());
  return static_cast<double>(std::max<int64_t>(1, p.output().pixels()));
}

// How far a product of two float32 values may be off, as a share of itself.
// On the processor as check.h has it, on the GPU:
//   float32  7 * 2^-22: what tensor cores ignore of both low parts (below 3 * 2^-23 each), and
//            low * low (below 2^-20), which is left out
//   fast     1.28 * 2^-10, its factors' rounding to TF32 (RoundToTf32), and the sum's cutting off,
//            2^-22 for each of terms / 8 additions
inline double ProductError(const TestedBackend& tested, const Conv2dProblem& p, Pass pass) {
  if (tested.target) return ProductError(*tested.target, p, pass);
  if (p.method == ConvMethod::kAuto) return 7 * 0x1p-22;
  if (p.method == ConvMethod::kReduced) return 1.28 * 0x1p-10 + TermsOf(p, pass) / 8 * 0x1p-22;
  return 0.0;
}

// Of the pass's sums. By default a GPU keeps the contract too: 2e-5 of the largest magnitude, which
// is `largest` where an activation's limits have made the results smaller than the sums.
inline void ExpectSums(const TestedBackend& tested, const Conv2dProblem& p, Pass pass,
                       const std::vector<float>& got, const std::vector<double>& want,
                       const std::vector<double>& magnitude, double largest = 0.0) {
  ExpectClose(got, want, magnitude, TermsOf(p, pass), ProductError(tested, p, pass));
  if (tested.target || p.method != ConvMethod::kAuto || got.empty()) return;
  double error = 0.0;
  for (size_t i = 0; i < got.size(); ++i) {
    largest = std::max(largest, std::abs(want[i]));
    error = std::max(error, std::abs(got[i] - want[i]));
  }
  EXPECT_LE(error, 2e-5 * largest);
}

}  // namespace ninc::test
