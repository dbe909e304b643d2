// A chain in one kernel gives what its layers give one after another.
#include <algorithm>
#include <cmath>
#include <limits>

#include "conv2d_layers.h"
#include "convolutions.h"
#include "reference/conv2d.h"

namespace ninc::cuda {
namespace {

using test::Random;
using Tail = MlpConvProblem::Tail;

struct ChainCase {
  std::string name;
  Conv2dProblem first;
  std::vector<int64_t> widths;  // of the 1×1 layers
  Tail tail = Tail::kNone;
};

Conv2dProblem First(Shape input, int64_t channels, int64_t kernel, int64_t padding,
                    int64_t stride = 1) {
  Conv2dProblem p;
  p.input = input;
  p.out_channels = channels;
  p.kernel_h = p.kernel_w = kernel;
  p.stride_h = p.stride_w = stride;
  p.padding = {padding, padding, padding, padding};
  return p;
}

std::vector<ChainCase> Cases() {
  return {
      {"picture, two layers wide", First({1, 10, 11, 3}, 50, 5, 2), {33, 20}},
      {"classes", First({2, 5, 5, 20}, 49, 3, 1), {20, 10}, Tail::kGlobalAvgPool},
      {"stride", First({1, 23, 21, 3}, 24, 7, 0, 4), {24}, Tail::kAvgPool},
      {"1×1 first", First({2, 6, 6, 24}, 20, 1, 0), {31, 18, 5}},
      {"wide", First({1, 9, 8, 12}, 192, 3, 1), {160, 96}, Tail::kMaxPool},
      {"many layers", First({1, 3, 3, 4}, 100, 3, 1), {97, 98, 99, 100, 101, 102, 103}},
      {"too wide for one kernel", First({1, 4, 4, 8}, 224, 3, 1), {200, 17}, Tail::kMaxPool},
      {"one layer and its pool", First({1, 9, 7, 12}, 20, 3, 1), {}, Tail::kMaxPool},
      {"no images", First({0, 8, 8, 6}, 20, 3, 1), {18, 17}, Tail::kMaxPool},
  };
}

MlpConvProblem ProblemOf(const ChainCase& c, ConvMethod precision) {
  MlpConvProblem problem{.layers = {c.first}, .activations = {}, .tail = c.tail};
  for (int64_t width : c.widths) {
    Conv2dProblem layer;
    layer.input = problem.layers.back().output();
    layer.out_channels = width;
    problem.layers.push_back(layer);
  }
  for (size_t i = 0; i < problem.layers.size(); ++i) {
    problem.layers[i].method = precision;
    problem.activations.push_back(test::kActivations[(i + 1) % 3]);
  }
  return problem;
}

// A chain's weights and inputs on the device.
struct Chain {
  Arrays arrays;
  MlpConvProblem problem;
  std::vector<std::vector<float>> weights, biases;
  std::vector<MlpConvLayer> layers;
  const float* x;
  Workspace workspace;

  Chain(const MlpConvProblem& p, const std::vector<float>& values, float lowest_weight = -1.0f)
      : problem(p), x(arrays.In(values)), workspace(arrays.Scratch(MlpConvWorkspace(p))) {
    for (size_t i = 0; i < p.layers.size(); ++i) {
      const Conv2dProblem& layer = p.layers[i];
      const uint32_t seed = static_cast<uint32_t>(i);
      weights.push_back(Random(layer.weight_size(), seed + 2, lowest_weight));
      biases.push_back(Random(i % 2 == 0 ? layer.out_channels : 0, seed + 20));
      float* packed = arrays.Packed(PackedWeightBytes(layer, Pass::kForward));
      EXPECT_OK(PackWeights(arrays.stream(), layer, Pass::kForward, arrays.In(weights[i]), nullptr,
                            packed));
      layers.push_back({packed, arrays.InOrNull(biases[i]), nullptr});
    }
  }

  // The chain's last map.
  std::vector<float> Run() {
    const int64_t size = problem.layers.back().output().size();
    float* y = problem.tail == Tail::kNone ? arrays.Out(size) : nullptr;
    const float* map = nullptr;
    EXPECT_OK(MlpConvForward(arrays.stream(), problem, x, layers.data(), y, workspace, &map));
    EXPECT_TRUE(y == nullptr || map == y);
    return arrays.Read(map, size);
  }
};

void CheckChain(const MlpConvProblem& p) {
  const std::vector<float> x = Random(p.layers[0].input.size(), 1);
  Chain chain(p, x);
  const std::vector<float> alone = chain.Run();  // with nothing kept

  const size_t layers = p.layers.size();
  for (size_t i = 0; i + 1 < layers; ++i) {
    chain.layers[i].kept = chain.arrays.Out(p.layers[i].output().size());
  }
  const std::vector<float> last = chain.Run();
  EXPECT_TRUE(test::SameBits(last, alone)) << "what is kept changes the result";

  std::vector<float> input = x;
  for (size_t i = 0; i < layers; ++i) {
    SCOPED_TRACE("layer " + std::to_string(i));
    const Conv2dProblem& layer = p.layers[i];
    const int64_t size = layer.output().size();
    const std::vector<float> got =
        i + 1 == layers ? last : chain.arrays.Read(chain.layers[i].kept, size);
    ExpectPrecise(
        layer.method, got,
        reference::Conv2dForward(layer, input, chain.weights[i], chain.biases[i], p.activations[i]),
        reference::Conv2dForward(layer, test::Absolute(input), test::Absolute(chain.weights[i]),
                                 test::Absolute(chain.biases[i]), test::kNone),
        static_cast<double>(layer.kernel_h * layer.kernel_w * layer.input.c + 1));
    if (layer.out_channels > 16) {  // fewer have a kernel of their own, which sums otherwise
      float* y = chain.arrays.Out(size);
      EXPECT_OK(Conv2dForward(chain.arrays.stream(), layer, chain.arrays.In(input),
                              chain.layers[i].packed, chain.layers[i].bias, p.activations[i], y));
      EXPECT_TRUE(test::SameBits(got, chain.arrays.Read(y, size)));
    }
    input = got;
  }
}

TEST(CudaMlpConvTest, WhatItsLayersGive) {
  for (const ChainCase& c : Cases()) {
    for (ConvMethod precision : kPrecisions) {
      SCOPED_TRACE(c.name + " in " + NameOf(precision));
      CheckChain(ProblemOf(c, precision));
      if (HasFailure()) return;
    }
  }
}

// What an infinite pixel makes of the padding behind a layer's last channel stays there. (Split
// products make NaN of infinity, in single layers too.)
TEST(CudaMlpConvTest, InfinityIsNoMoreThanInSingleLayers) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (ConvMethod precision : {ConvMethod::kDirect, ConvMethod::kReduced}) {
    const MlpConvProblem p = ProblemOf({"", First({1, 5, 5, 20}, 20, 3, 1), {33, 20}}, precision);
    std::vector<float> x = Random(p.layers[0].input.size(), 1);
    x[7] = kInfinity;
    Chain chain(p, x, 0.0f);  // infinity may not meet its opposite
    const std::vector<float> got = chain.Run();
    const float* map = chain.x;
    for (size_t i = 0; i < p.layers.size(); ++i) {
      float* y = chain.arrays.Out(p.layers[i].output().size());
      EXPECT_OK(Conv2dForward(chain.arrays.stream(), p.layers[i], map, chain.layers[i].packed,
                              chain.layers[i].bias, p.activations[i], y));
      map = y;
    }
    const std::vector<float> want = chain.arrays.Read(map, p.output().size());
    EXPECT_TRUE(test::SameBits(got, want)) << NameOf(precision);
    EXPECT_TRUE(std::none_of(want.begin(), want.end(), [](float v) { return std::isnan(v); }));
  }
}

// One launch for a chain of a network, no memory for the maps between its layers, and hardly a bank
// conflict in shared memory, where they are.
TEST(CudaMlpConvTest, ChainsOfNetworksAreOneKernel) {
  if (!Control::Present()) GTEST_SKIP() << "only the emulated driver counts launches";
  for (const ChainCase& c : Cases()) {
    const MlpConvProblem p = ProblemOf(c, ConvMethod::kAuto);
    if (c.widths.empty() || c.first.out_channels > 192 || c.first.input.n == 0) continue;
    SCOPED_TRACE(c.name);
    Chain chain(p, Random(p.layers[0].input.size(), 1));
    EXPECT_OK(chain.arrays.stream().Synchronize());
    const int64_t before = Control::Launches();
    Control::Set("count", 1);
    Control::ResetCounters();
    chain.Run();
    Counts counts = ReadCounts(Control::Report());
    Control::Set("count", 0);
    EXPECT_EQ(Control::Launches(), before + 1);
    if (c.name == "wide") {  // as networks are; tiny chains mostly write maps
      EXPECT_LT(counts["bank_conflicts"], 0.05 * counts["shared_accesses"]);
    }
    const size_t map = p.layers.back().output().size() * sizeof(float);
    EXPECT_EQ(MlpConvWorkspace(p).shared, c.tail == Tail::kNone ? 0 : WorkspaceSize::Aligned(map));
  }
}

// With a tail the last map goes where it is kept.
TEST(CudaMlpConvTest, TheMapBeforeAPoolMayBeKept) {
  for (const ChainCase& c : Cases()) {
    if (c.tail == Tail::kNone) continue;
    SCOPED_TRACE(c.name);
    const MlpConvProblem p = ProblemOf(c, ConvMethod::kAuto);
    Chain chain(p, Random(p.layers[0].input.size(), 1));
    const std::vector<float> alone = chain.Run();
    float* kept = chain.arrays.Out(static_cast<int64_t>(alone.size()));
    chain.layers.back().kept = kept;
    EXPECT_TRUE(test::SameBits(chain.Run(), alone));
    EXPECT_TRUE(test::SameBits(chain.arrays.Read(kept, alone.size()), alone));
  }
}

}  // namespace
}  // namespace ninc::cuda
