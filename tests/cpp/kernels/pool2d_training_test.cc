#include "cpu/pool/pool2d_training.h"

#include "cpu/elementwise/activation.h"
#include "cpu/elementwise/dropout.h"
#include "cpu/pool/pool2d.h"
#include "reference/activation.h"
#include "reference/dropout.h"
#include "reference/pool2d.h"
#include "support/cases.h"
#include "support/check.h"
#include "support/values.h"

namespace ninc::test {
namespace {

using Kind = TrainingPoolProblem::Kind;

constexpr DropoutKey kKey{1234567890123456789, 17};

double WindowSize(const Pool2dProblem& p) { return static_cast<double>(p.kernel_h * p.kernel_w); }

// Every kind with every activation, dropping and not, in turns over the table of pools.
std::vector<TrainingPoolProblem> Problems() {
  std::vector<TrainingPoolProblem> problems;
  for (const Pool2dProblem& pool : PoolProblems()) {
    for (Kind kind : {Kind::kMax, Kind::kAvg}) {
      for (Activation activation : kActivations) {
        const float p = problems.size() % 4 == 3 ? 0.0f : 0.4f;
        problems.push_back({kind, pool, activation, p, static_cast<uint32_t>(problems.size())});
      }
    }
  }
  return problems;
}

std::string Name(const TrainingPoolProblem& p) {
  return std::string(p.kind == Kind::kMax ? "max " : "average ") + p.pool.ToString() +
         ", activation " + std::to_string(static_cast<int>(p.activation.kind)) + ", p " +
         std::to_string(p.dropout);
}

// What an activation may have given: on its limits and between, many equal.
std::vector<float> Activated(const TrainingPoolProblem& p, bool nan) {
  std::vector<float> x = WithTies(p.pool.input.size(), 1, nan);
  for (float& value : x) value = 4 * value + 2;  // -6, -2, 2, 6
  for (float& value : x) {
    value = static_cast<float>(reference::Activated(p.activation, value));
  }
  return x;
}

std::vector<double> Drop(const TrainingPoolProblem& p, const std::vector<float>& x) {
  return reference::Dropout(p.dropout, p.layer, kKey, x);
}

std::vector<double> Pooled(const TrainingPoolProblem& p, const std::vector<float>& x) {
  return p.kind == Kind::kMax ? reference::MaxPool2dForward(p.pool, x)
                              : reference::AvgPool2dForward(p.pool, x);
}

std::vector<double> Gradient(const TrainingPoolProblem& p, const std::vector<float>& dy,
                             const std::vector<float>& x) {
  std::vector<double> dx = p.kind == Kind::kMax ? reference::MaxPool2dBackward(p.pool, dy, x)
                                                : reference::AvgPool2dBackward(p.pool, dy);
  for (size_t i = 0; i < dx.size(); ++i) dx[i] *= reference::Slope(p.activation, x[i]);
  return dx;
}

uint8_t* Trace(Call& call, const TrainingPoolProblem& p) {
  return reinterpret_cast<uint8_t*>(call.Aligned(cpu::PoolTraceBytes(ChosenTarget(), p)));
}

TEST(TrainingPoolTest, MatchesTheReferences) {
  for (const TrainingPoolProblem& p : Problems()) {
    for (bool nan : {false, true}) {
      const std::vector<float> x = Activated(p, nan), dy = Random(p.pool.output().size(), 3);
      const std::vector<double> y = Drop(p, ToFloat(Pooled(p, x)));
      const std::vector<double> y_size = Magnitudes(Drop(p, ToFloat(Pooled(p, Absolute(x)))));
      const std::vector<double> dx = Gradient(p, ToFloat(Drop(p, dy)), x);
      const std::vector<double> dx_size = Gradient(p, ToFloat(Drop(p, Absolute(dy))), x);
      OnEveryTarget(
          Name(p),
          [&](Call& call) {
            uint8_t* trace = Trace(call, p);
            cpu::TrainingPoolForward(ChosenTarget(), p, &kKey, {0, p.pool.input.n}, call.In(x),
                                     call.Out(p.pool.output().size()), trace, call.threads());
            cpu::TrainingPoolBackward(ChosenTarget(), p, true, call.In(dy), trace,
                                      call.Out(p.pool.input.size()), call.threads());
          },
          [&](const Outputs& got) {
            ExpectClose(got[0], y, y_size, WindowSize(p.pool));
            ExpectClose(got[1], dx, dx_size, WindowSize(p.pool));
          });
    }
  }
}

// Image by image forward, as a chain calls it.
TEST(TrainingPoolTest, SameBitsAsOneByOne) {
  for (const TrainingPoolProblem& p : Problems()) {
    const Shape &in = p.pool.input, out = p.pool.output();
    const std::vector<float> x = Activated(p, false), dy = Random(out.size(), 3);
    OnEveryTarget(
        Name(p),
        [&](Call& call) {
          uint8_t* trace = Trace(call, p);
          const float *map = call.In(x), *gradient = call.In(dy);
          float *y = call.Out(out.size()), *dx = call.Out(in.size());
          for (int64_t n = 0; n < in.n; ++n) {
            cpu::TrainingPoolForward(ChosenTarget(), p, &kKey, {n, n + 1},
                                     map + n * in.h * in.w * in.c, y, trace, call.threads());
          }
          cpu::TrainingPoolBackward(ChosenTarget(), p, true, gradient, trace, dx, call.threads());

          float *pooled = call.Out(out.size()), *routed = call.Out(in.size());
          float* dropped = call.Out(out.size());
          cpu::Dropout(ChosenTarget(), out.size(), p.dropout, p.layer, kKey, gradient, dropped,
                       call.threads());
          if (p.kind == Kind::kMax) {
            cpu::MaxPool2dForward(ChosenTarget(), p.pool, map, pooled, call.threads());
            cpu::MaxPool2dBackward(ChosenTarget(), p.pool, dropped, map, routed, call.threads());
          } else {
            cpu::AvgPool2dForward(ChosenTarget(), p.pool, map, pooled, call.threads());
            cpu::AvgPool2dBackward(ChosenTarget(), p.pool, dropped, routed, call.threads());
          }
          cpu::Dropout(ChosenTarget(), out.size(), p.dropout, p.layer, kKey, pooled, pooled,
                       call.threads());
          cpu::ActivationBackward(
              ChosenTarget(), in.pixels(), in.c, p.activation, routed, map, routed, nullptr,
              call.Scratch(cpu::ActivationBackwardWorkspace(in.pixels(), in.c)));
        },
        [&](const Outputs& got) {
          EXPECT_TRUE(SameBits(got[0], got[2]));
          EXPECT_TRUE(SameBits(got[1], got[3]));
        });
  }
}

// A run that drops nothing has no key.
TEST(TrainingPoolTest, WithoutAKeyNothingIsDropped) {
  const TrainingPoolProblem p{Kind::kMax, PoolProblems()[0], kRelu, 0.5f, 1};
  const std::vector<float> x = Activated(p, false), dy = Random(p.pool.output().size(), 3);
  OnEveryTarget(
      Name(p),
      [&](Call& call) {
        uint8_t* trace = Trace(call, p);
        cpu::TrainingPoolForward(ChosenTarget(), p, nullptr, {0, p.pool.input.n}, call.In(x),
                                 call.Out(p.pool.output().size()), trace, call.threads());
        cpu::TrainingPoolBackward(ChosenTarget(), p, false, call.In(dy), trace,
                                  call.Out(p.pool.input.size()), call.threads());
      },
      [&](const Outputs& got) {
        ExpectExact(got[0], Pooled(p, x));
        ExpectClose(got[1], Gradient(p, dy, x), Gradient(p, Absolute(dy), x), 9);
      });
}

// Large maps are written past the caches where they begin with a cache line.
TEST(TrainingPoolTest, LargeMapsAreTheSameOnAndOffCacheLines) {
  Pool2dProblem pool;
  pool.input = {1, 600, 480, 32};  // 37 MB
  pool.kernel_h = pool.kernel_w = 3;
  pool.stride_h = pool.stride_w = 2;
  const size_t count = static_cast<size_t>(pool.input.size());
  const std::vector<float> x = Random(pool.input.size(), 1), dy = Random(pool.output().size(), 2);
  const Target before = ChosenTarget();
  for (Target target : TargetsToTest()) {
    ASSERT_TRUE(SetTarget(TargetName(target)).ok());
    for (Kind kind : {Kind::kMax, Kind::kAvg}) {
      const TrainingPoolProblem p{kind, pool, kRelu, 0.5f, 1};
      Call call(2, 0);
      uint8_t* trace = Trace(call, p);
      cpu::TrainingPoolForward(ChosenTarget(), p, &kKey, {0, 1}, x.data(),
                               call.Out(pool.output().size()), trace, 2);
      float* on = call.Aligned((count + 1) * sizeof(float));
      cpu::TrainingPoolBackward(ChosenTarget(), p, true, dy.data(), trace, on, 2);
      const std::vector<float> want(on, on + count);
      cpu::TrainingPoolBackward(ChosenTarget(), p, true, dy.data(), trace, on + 1, 2);
      EXPECT_TRUE(SameBits(std::vector<float>(on + 1, on + 1 + count), want)) << TargetName(target);
      EXPECT_NE(std::count(want.begin(), want.end(), 0.0f), static_cast<int64_t>(count));
      call.Finish();
    }
  }
  ASSERT_TRUE(SetTarget(TargetName(before)).ok());
}

TEST(TrainingPoolTest, PaysWhereAByteHoldsEveryPlace) {
  TrainingPoolProblem p{Kind::kMax, {}, kRelu, 0.5f, 0};
  p.pool.input = {1, 40, 40, 4};
  p.pool.kernel_h = 15;
  p.pool.kernel_w = 17;
  EXPECT_TRUE(cpu::TrainingPoolPays(p));
  p.pool.kernel_h = 16;
  EXPECT_FALSE(cpu::TrainingPoolPays(p));
  p.kind = Kind::kAvg;
  EXPECT_TRUE(cpu::TrainingPoolPays(p));
  p.activation = kNone;
  EXPECT_TRUE(cpu::TrainingPoolPays(p));
  p.dropout = 0.0f;
  EXPECT_FALSE(cpu::TrainingPoolPays(p));
}

}  // namespace
}  // namespace ninc::test
