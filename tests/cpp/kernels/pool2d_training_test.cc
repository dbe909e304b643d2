#include "cpu/pool/pool2d_training.h"

#include <algorithm>
#include <optional>

#include "reference/activation.h"
#include "reference/dropout.h"
#include "reference/pool2d.h"
#include "support/cases.h"
#include "support/step_check.h"
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
        const bool plain = kind == Kind::kAvg && activation == kNone;  // pays where it drops
        const float p = problems.size() % 4 == 3 && !plain ? 0.0f : 0.4f;
        problems.push_back({kind, pool, activation, p, static_cast<uint32_t>(problems.size())});
      }
    }
  }
  return problems;
}

std::string Name(const TrainingPoolProblem& p) {
  return std::string(p.kind == Kind::kMax ? "max " : "average ") + p.pool.ToString() +
         ", activation " + ninc::Name(p.activation) + ", p " + std::to_string(p.dropout);
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

// None: it stays a pool and its neighbours.
std::optional<size_t> TraceBytes(const Backend& backend, const TrainingPoolProblem& p) {
  const Value values[] = {{.shape = p.pool.input}, {.shape = p.pool.output()}, {}};
  const Result<std::optional<Kernel>> kernel =
      backend.Compile(step::TrainingPool{p, 0, 1, 2}, values);
  ExpectOk(kernel.status());
  if (!kernel.value()) return {};
  return kernel.value()->trace_bytes;
}

StepArray Trace(StepCall& call, const TrainingPoolProblem& p) {
  return {{}, call.Room<uint8_t>(TraceBytes(call.backend(), p).value())};
}

// Outputs: y, dx.
Steps BothWays(const TrainingPoolProblem& p, const std::vector<float>& x,
               const std::vector<float>& dy, bool drops = true) {
  return [=, &x, &dy](StepCall& call) {
    const RunArguments arguments{.state =
                                     drops ? call.Values<StepState>({{.key = kKey}}) : nullptr};
    const StepArray trace = Trace(call, p);
    call.Run(step::TrainingPool{p, 0, 1, 2}, {call.In(x), call.Out(p.pool.output()), trace},
             arguments);
    call.Run(step::TrainingPoolBackward{p, 0, 1, 2}, {call.In(dy), trace, call.Out(p.pool.input)},
             arguments);
  };
}

TEST(TrainingPoolTest, MatchesTheReferences) {
  for (const TrainingPoolProblem& p : Problems()) {
    for (bool nan : {false, true}) {
      const std::vector<float> x = Activated(p, nan), dy = Random(p.pool.output().size(), 3);
      const std::vector<double> y = Drop(p, ToFloat(Pooled(p, x)));
      const std::vector<double> y_size = Magnitudes(Drop(p, ToFloat(Pooled(p, Absolute(x)))));
      const std::vector<double> dx = Gradient(p, ToFloat(Drop(p, dy)), x);
      const std::vector<double> dx_size = Gradient(p, ToFloat(Drop(p, Absolute(dy))), x);
      OnEveryBackend(
          Name(p), BothWays(p, x, dy),
          [&](const Outputs& got) {
            ExpectClose(got[0], y, y_size, WindowSize(p.pool));
            ExpectClose(got[1], dx, dx_size, WindowSize(p.pool));
          },
          Processors());
    }
  }
}

// Image by image forward, as a chain calls it; and the pool and its neighbours one by one. Outputs:
// y and dx of either.
void AllInOneAndOneByOne(StepCall& call, Target target, const TrainingPoolProblem& p,
                         const std::vector<float>& x, const std::vector<float>& dy) {
  const Shape &in = p.pool.input, out = p.pool.output();
  const RunArguments arguments{.state = call.Values<StepState>({{.key = kKey}})};
  const StepArray map = call.In(in, x), gradient = call.In(out, dy), trace = Trace(call, p);
  const StepArray y = call.Out(out), dx = call.Out(in);
  const auto floats = [](const StepArray& array) {
    return static_cast<float*>(const_cast<void*>(array.data));
  };
  for (int64_t n = 0; n < in.n; ++n) {
    cpu::TrainingPoolForward(target, p, &kKey, {n, n + 1}, floats(map) + n * in.h * in.w * in.c,
                             floats(y), reinterpret_cast<uint8_t*>(floats(trace)), call.threads());
  }
  call.Run(step::TrainingPoolBackward{p, 0, 1, 2}, {gradient, trace, dx}, arguments);

  const StepArray pooled = call.Out(out), routed = call.Out(in), dropped = call.Out(out);
  call.Run(step::Dropout{p.dropout, p.layer, 0, 1}, {gradient, dropped}, arguments);
  if (p.kind == Kind::kMax) {
    call.Run(step::MaxPool2d{p.pool, 0, 1}, {map, pooled});
    call.Run(step::MaxPool2dBackward{p.pool, 0, 1, 2}, {dropped, map, routed});
  } else {
    call.Run(step::AvgPool2d{p.pool, 0, 1}, {map, pooled});
    call.Run(step::AvgPool2dBackward{p.pool, 0, 1}, {dropped, routed});
  }
  call.Run(step::Dropout{p.dropout, p.layer, 0, 0}, {pooled}, arguments);
  call.Run(step::ActivationBackward{p.activation, 0, 1, 0, kNoValue}, {routed, map});
}

TEST(TrainingPoolTest, SameBitsAsOneByOne) {
  for (const TrainingPoolProblem& p : Problems()) {
    const std::vector<float> x = Activated(p, false), dy = Random(p.pool.output().size(), 3);
    for (const TestedBackend& tested : Processors()) {
      OnEveryBackend(
          Name(p), [&](StepCall& call) { AllInOneAndOneByOne(call, *tested.target, p, x, dy); },
          [&](const Outputs& got) {
            EXPECT_TRUE(SameBits(got[0], got[2]));
            EXPECT_TRUE(SameBits(got[1], got[3]));
          },
          {tested});
    }
  }
}

// A run that drops nothing has no key.
TEST(TrainingPoolTest, WithoutAKeyNothingIsDropped) {
  const TrainingPoolProblem p{Kind::kMax, PoolProblems()[0], kRelu, 0.5f, 1};
  const std::vector<float> x = Activated(p, false), dy = Random(p.pool.output().size(), 3);
  OnEveryBackend(
      Name(p), BothWays(p, x, dy, false),
      [&](const Outputs& got) {
        ExpectExact(got[0], Pooled(p, x));
        ExpectClose(got[1], Gradient(p, dy, x), Gradient(p, Absolute(dy), x), 9);
      },
      Processors());
}

// Whether arrays begin with a cache line or not, where they are larger than the caches.
TEST(TrainingPoolTest, LargeMapsAreTheSameOnAndOffCacheLines) {
  Pool2dProblem pool;
  pool.input = {1, 600, 480, 32};  // 37 MB
  pool.kernel_h = pool.kernel_w = 3;
  pool.stride_h = pool.stride_w = 2;
  const std::vector<float> x = Random(pool.input.size(), 1), dy = Random(pool.output().size(), 2);
  std::vector<TestedBackend> processors = Processors();
  for (TestedBackend& tested : processors) tested.settings = {{2, 0}, {2, 1}};
  for (Kind kind : {Kind::kMax, Kind::kAvg}) {
    const TrainingPoolProblem p{kind, pool, kRelu, 0.5f, 1};
    OnEveryBackend(
        Name(p), BothWays(p, x, dy),
        [&](const Outputs& got) {
          EXPECT_NE(std::count(got[1].begin(), got[1].end(), 0.0f), pool.input.size());
        },
        processors);
  }
}

TEST(TrainingPoolTest, PaysWhereAByteHoldsEveryPlace) {
  const auto pays = [](const TrainingPoolProblem& p) {
    return TraceBytes(CpuBackend(), p).has_value();
  };
  TrainingPoolProblem p{Kind::kMax, {}, kRelu, 0.5f, 0};
  p.pool.input = {1, 40, 40, 4};
  p.pool.kernel_h = 15;
  p.pool.kernel_w = 17;
  EXPECT_TRUE(pays(p));
  p.pool.kernel_h = 16;
  EXPECT_FALSE(pays(p));
  p.kind = Kind::kAvg;
  EXPECT_TRUE(pays(p));
  p.activation = kNone;
  EXPECT_TRUE(pays(p));
  p.dropout = 0.0f;
  EXPECT_FALSE(pays(p));
}

}  // namespace
}  // namespace ninc::test
