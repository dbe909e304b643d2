// A chain in one step gives the very bits of its layers one after another.
#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/conv2d.h"
#include "support/chain_cases.h"
#include "support/conv2d_check.h"

namespace ninc::test {
namespace {

struct Chain {
  explicit Chain(const MlpConvProblem& p, float lowest_weight = -1.0f)
      : problem(p), x(Random(p.layers[0].input.size(), 1)) {
    for (size_t i = 0; i < p.layers.size(); ++i) {
      const auto seed = static_cast<uint32_t>(i);
      weights.push_back(Random(p.layers[i].weight_size(), seed + 2, lowest_weight));
      biases.push_back(Random(i % 2 == 0 ? p.layers[i].out_channels : 0, seed + 20));
    }
  }
  size_t size() const { return problem.layers.size(); }
  MlpConvProblem problem;
  std::vector<float> x;
  std::vector<std::vector<float>> weights, biases;
};

// A GPU can keep the last map too where a pool reads it.
size_t MostKept(const Chain& chain) {
  return OnGpu() && chain.problem.tail != Tail::kNone ? chain.size() : chain.size() - 1;
}

// The whole chain. Outputs: y, then the maps of the layers that are kept, which are returned.
std::vector<StepArray> RunChain(StepCall& call, const Chain& chain, std::vector<bool> kept) {
  kept.resize(MostKept(chain));
  kept.resize(chain.size());
  step::MlpConv step{chain.problem, 0, {}, 1};
  std::vector<StepArray> arrays = {call.In(chain.x), call.Out(chain.problem.output())}, maps;
  for (size_t i = 0; i < chain.size(); ++i) {
    const auto at = static_cast<ValueId>(arrays.size());
    step.layers.push_back(
        {at, chain.biases[i].empty() ? kNoValue : at + 1, kept[i] ? at + 2 : kNoValue, kept[i]});
    if (kept[i]) maps.push_back(call.Out(chain.problem.layers[i].output()));
    arrays.insert(arrays.end(), {call.In(chain.weights[i]), call.In(chain.biases[i]),
                                 kept[i] ? maps.back() : StepArray{}});
  }
  call.Run(step, arrays);
  return maps;
}

void RunLayer(StepCall& call, const Chain& chain, size_t i, const StepArray& x,
              const StepArray& y) {
  const std::vector<float>& bias = chain.biases[i];
  call.Run(step::Conv2d{chain.problem.layers[i], 0, 1, bias.empty() ? kNoValue : 2,
                        chain.problem.activations[i], 3},
           {x, call.In(chain.weights[i]), call.In(bias), y});
}

void RunTail(StepCall& call, const MlpConvProblem& p, const StepArray& x, const StepArray& y) {
  if (p.tail == Tail::kMaxPool) call.Run(step::MaxPool2d{p.pool, 0, 1}, {x, y});
  if (p.tail == Tail::kAvgPool) call.Run(step::AvgPool2d{p.pool, 0, 1}, {x, y});
  if (p.tail == Tail::kGlobalAvgPool) call.Run(step::GlobalAvgPool2d{0, 1}, {x, y});
}

// Outputs: those of the chain where it keeps all it can, and where it keeps what the case says;
// then each layer's own, made of the map ahead that the chain kept, and the tail's.
void RunBothWays(StepCall& call, const Chain& chain, const std::vector<bool>& kept) {
  const MlpConvProblem& p = chain.problem;
  std::vector<StepArray> maps = RunChain(call, chain, std::vector<bool>(chain.size(), true));
  RunChain(call, chain, kept);
  for (size_t i = 0; i < chain.size(); ++i) {
    const StepArray alone = call.Out(p.layers[i].output());
    RunLayer(call, chain, i, i == 0 ? call.In(chain.x) : maps[i - 1], alone);
    if (maps.size() == i) maps.push_back(alone);
  }
  if (p.tail != Tail::kNone) RunTail(call, p, maps.back(), call.Out(p.output()));
}

void ExpectTheLayers(const std::string& name, const Chain& chain, const std::vector<bool>& kept,
                     const TestedBackend& tested) {
  const MlpConvProblem& p = chain.problem;
  const size_t layers = chain.size(), most = MostKept(chain);
  OnEveryBackend(
      name, [&](StepCall& call) { RunBothWays(call, chain, kept); },
      [&](const Outputs& got) {
        const std::vector<float>& y = got[0];
        const auto map_of = [&](size_t i) -> const std::vector<float>& {
          return i < most ? got[i + 1] : y;
        };
        for (float value : y) ASSERT_FALSE(std::isnan(value));
        size_t next = most + 1;
        EXPECT_TRUE(SameBits(got[next++], y)) << "what is kept changes the result";
        for (size_t i = 0; i < std::min(most, kept.size()); ++i) {
          if (!kept[i]) continue;
          EXPECT_TRUE(SameBits(got[next++], map_of(i))) << "layer " << i;
        }
        for (size_t i = 0; i < layers; ++i, ++next) {
          if (i == most && p.tail != Tail::kNone) continue;  // y is the tail's
          SCOPED_TRACE("layer " + std::to_string(i));
          const Conv2dProblem& layer = p.layers[i];
          // On the GPU few channels have a kernel of their own, which sums otherwise.
          if (tested.target || layer.out_channels > 16) {
            EXPECT_TRUE(SameBits(got[next], map_of(i)));
          }
          if (tested.target) continue;
          const std::vector<float>& x = i == 0 ? chain.x : map_of(i - 1);
          const std::vector<float>&weight = chain.weights[i], &bias = chain.biases[i];
          ExpectSums(tested, layer, Pass::kForward, map_of(i),
                     reference::Conv2dForward(layer, x, weight, bias, p.activations[i]),
                     reference::Conv2dForward(layer, Absolute(x), Absolute(weight), Absolute(bias),
                                              kNone));
        }
        if (p.tail != Tail::kNone) {
          EXPECT_TRUE(SameBits(got[next], y)) << "the tail";
        }
      },
      {tested});
}

TEST(MlpConvTest, SameBitsAsItsLayers) {
  std::vector<ChainCase> cases = SmallChains();
  if (!OnGpu()) {
    for (const ChainCase& c : LargeChains()) cases.push_back(c);
  }
  for (const ChainCase& c : cases) {
    if (OnGpu()) {
      for (const Algorithm& algorithm : Algorithms()) {
        ExpectTheLayers(c.name + " " + algorithm.name, Chain(ProblemOf(c, algorithm.method)),
                        c.kept, algorithm.backends[0]);
      }
    } else {
      std::vector<TestedBackend> backends = Processors();
      if (c.first.weight_size() > 1 << 18) {  // one lane takes minutes under a sanitizer
        if (Emulated()) continue;
        backends.resize(1);
      }
      const Chain chain(ProblemOf(c));
      for (const TestedBackend& tested : backends) ExpectTheLayers(c.name, chain, c.kept, tested);
    }
    if (HasFailure()) return;
  }
}

// What an infinite pixel makes of the padding behind a layer's last channel stays there. (Split
// products make NaN of infinity, in single layers too.)
TEST(MlpConvTest, InfinityIsNoMoreThanInSingleLayers) {
  for (const Algorithm& algorithm : Algorithms()) {
    if (algorithm.method == ConvMethod::kAuto) continue;
    if (algorithm.method == ConvMethod::kSplit) continue;
    // Infinity may not meet its opposite.
    Chain chain(ProblemOf({"", First({1, 5, 5, 20}, 20, 3, 1), {33, 20}}, algorithm.method), 0.0f);
    chain.x[7] = std::numeric_limits<float>::infinity();
    OnEveryBackend(
        algorithm.name,
        [&](StepCall& call) {
          RunChain(call, chain, {});
          StepArray map = call.In(chain.x);
          for (size_t i = 0; i < chain.size(); ++i) {
            const StepArray y = call.Out(chain.problem.layers[i].output());
            RunLayer(call, chain, i, map, y);
            map = y;
          }
        },
        [](const Outputs& got) {
          EXPECT_TRUE(SameBits(got[0], got.back()));
          for (float value : got[0]) EXPECT_FALSE(std::isnan(value));
        },
        algorithm.backends);
  }
}

// A batch of many units sets no memory aside for whole maps.
TEST(MlpConvTest, LargeBatchesNeedNoMapsBetweenLayers) {
  if (OnGpu()) GTEST_SKIP() << "a GPU's chains are looked at in tests/cuda";
  const MlpConvProblem p =
      ProblemOf({"", First({128, 32, 32, 3}, 192, 5, 2), {160, 96}, Tail::kMaxPool});
  for (const TestedBackend& tested : Processors()) {
    step::MlpConv step{p, 0, std::vector<step::MlpConv::Layer>(p.layers.size()), 1};
    const Result<std::optional<Kernel>> kernel = tested.backend->Compile(step, {});
    EXPECT_EQ((*kernel.value()).scratch.shared, 0u);
    EXPECT_LT((*kernel.value()).scratch.per_thread, size_t{4} << 20);
  }
}

}  // namespace
}  // namespace ninc::test
