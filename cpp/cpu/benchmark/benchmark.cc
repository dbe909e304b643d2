// What the machine can do at most (multiply-adds in registers) and single convolutions by a named
// method, timed here so that no binding stands between the clock and the kernel.
#include "ninc/benchmark.h"

#include <algorithm>
#include <chrono>
#include <random>

#include "base/threads/cancel.h"
#include "base/aligned.h"
#include "base/threads/thread_pool.h"
#include "cpu/conv2d/conv2d.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/benchmark/benchmark.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

// Independent chains of multiply-adds, enough to fill two units of latency five. Returns FLOPs.
HWY_NOINLINE double MultiplyAddChains(int64_t rounds, float* sink) {
  constexpr int kChains = 12;
  const V factor = hn::Set(D(), 0.999f), term = hn::Set(D(), 0.001f);
  V chain[kChains];
  for (int i = 0; i < kChains; ++i) chain[i] = hn::Set(D(), static_cast<float>(i));
  for (int64_t round = 0; round < rounds; ++round) {
    for (int i = 0; i < kChains; ++i) chain[i] = hn::MulAdd(chain[i], factor, term);
  }
  for (int i = 1; i < kChains; ++i) chain[0] = hn::Add(chain[0], chain[i]);
  Vectors<1>().Store(chain[0], sink);
  return 2.0 * kChains * kLanes * static_cast<double>(rounds);
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {
namespace {
double RunMultiplyAddChains(Target target, int64_t rounds, float* sink) {
  return NINC_DISPATCH(target, MultiplyAddChains)(rounds, sink);
}
}  // namespace
}  // namespace ninc::cpu

namespace ninc {
namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// `count` floats uniform in [-1, 1), the same every time.
AlignedBuffer RandomFloats(size_t count) {
  AlignedBuffer buffer(std::max<size_t>(1, count) * sizeof(float));
  if (buffer.empty()) return buffer;
  std::minstd_rand generator(1);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::generate_n(buffer.as<float>(), count, [&] { return uniform(generator); });
  return buffer;
}

Status CheckTiming(Pass pass, int repeats, int threads) {
  constexpr int kMostRepeats = 1'000'000;
  if (pass > Pass::kBackwardWeights) {
    return InvalidArgument("pass must be one of the three passes, got " +
                           std::to_string(static_cast<int>(pass)));
  }
  if (repeats < 0 || repeats > kMostRepeats) {
    return InvalidArgument("repeats must be 0 to " + std::to_string(kMostRepeats) + ", got " +
                           std::to_string(repeats));
  }
  if (threads >= 1 && threads <= kMostThreads) return {};
  return InvalidArgument("threads must be 1 to " + std::to_string(kMostThreads) + ", got " +
                         std::to_string(threads));
}

}  // namespace

double MeasurePeakGflops(int threads) {
  threads = std::clamp(threads, 1, kMostThreads);
  constexpr int64_t kRounds = 2'000'000;
  constexpr int kRuns = 10;
  const Target target = ChosenTarget();
  double best = 0.0;
  for (int run = 0; run < kRuns; ++run) {
    double flops = 0.0;
    const double start = Seconds();
    ParallelFor(threads, threads, [&](int64_t task, int) {
      alignas(64) float sink[64];
      const double done = cpu::RunMultiplyAddChains(target, kRounds, sink);
      if (task == 0) flops = done * threads;
    });
    best = std::max(best, flops / (Seconds() - start) / 1e9);
  }
  return best;
}

Result<std::vector<double>> TimeConv2d(const Conv2dProblem& problem, Pass pass, int repeats,
                                       int threads) {
  NINC_RETURN_IF_ERROR(problem.Validate());
  NINC_RETURN_IF_ERROR(CheckTiming(pass, repeats, threads));
  const Target target = ChosenTarget();
  const bool data = pass == Pass::kBackwardData;
  const Pass packing = data ? pass : Pass::kForward;
  const cpu::Conv2dPass conv(target, problem, pass), packs(target, problem, packing);
  const WorkspaceSize size = cpu::Conv2dWorkspace(conv);
  const AlignedBuffer x = RandomFloats(static_cast<size_t>(problem.input.size()));
  const AlignedBuffer y = RandomFloats(static_cast<size_t>(problem.output().size()));
  const AlignedBuffer weight = RandomFloats(static_cast<size_t>(problem.weight_size()));
  const AlignedBuffer bias = RandomFloats(static_cast<size_t>(problem.out_channels));
  const AlignedBuffer packed(cpu::PackedWeightBytes(packs));
  const AlignedBuffer scratch(std::max<size_t>(64, size.Total(threads)));
  if (x.empty() || y.empty() || weight.empty() || bias.empty() || packed.empty() ||
      scratch.empty()) {
    return OutOfMemory("no memory for a benchmark of " + problem.ToString());
  }
  cpu::PackWeights(packs, weight.as<float>(), nullptr, packed.as<float>(), threads);
  const Workspace workspace(scratch.data(), size, threads);
  const auto run = [&] {
    switch (pass) {
      case Pass::kForward:
        return cpu::Conv2dForward(conv, x.as<float>(), packed.as<float>(), bias.as<float>(), kRelu,
                                  y.as<float>(), workspace);
      case Pass::kBackwardData:
        return cpu::Conv2dBackwardData(conv, y.as<float>(), packed.as<float>(), nullptr, {},
                                       x.as<float>(), workspace);
      case Pass::kBackwardWeights:
        return cpu::Conv2dBackwardWeights(conv, x.as<float>(), y.as<float>(), weight.as<float>(),
                                          nullptr, workspace);
    }
  };
  run();
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) {
    const double start = Seconds();
    run();
    seconds.push_back(Seconds() - start);
    if (IsCancelled()) return Cancelled();
  }
  return seconds;
}

}  // namespace ninc
#endif  // HWY_ONCE
