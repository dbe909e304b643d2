// A chain in one step gives the very bits of its layers one after another.
#include "cpu/fused/mlpconv.h"

#include "check.h"
#include "cpu/conv2d/conv2d.h"
#include "cpu/pool/global_avg_pool.h"
#include "cpu/pool/pool2d.h"

namespace ninc::test {
namespace {

using Tail = MlpConvProblem::Tail;

struct ChainCase {
  std::string name;
  Conv2dProblem first;
  std::vector<int64_t> widths;  // of the 1×1 layers
  Tail tail = Tail::kNone;
  std::vector<bool> kept = {};  // which layers' outputs are wanted; missing: none
};

Conv2dProblem First(Shape input, int64_t channels, int64_t kernel, int64_t padding,
                    ConvMethod method = ConvMethod::kAuto, int64_t stride = 1) {
  Conv2dProblem p;
  p.input = input;
  p.out_channels = channels;
  p.kernel_h = p.kernel_w = kernel;
  p.stride_h = p.stride_w = stride;
  p.padding = {padding, padding, padding, padding};
  p.method = method;
  return p;
}

std::vector<ChainCase> Cases() {
  const auto kDirect = ConvMethod::kDirect;
  const auto k4 = ConvMethod::kWinograd4, k6 = ConvMethod::kWinograd6, k8 = ConvMethod::kWinograd8;
  return {
      {"patches, many blocks an image", First({2, 18, 17, 3}, 50, 5, 2), {33, 20}, Tail::kMaxPool},
      {"direct", First({3, 9, 8, 20}, 49, 3, 1, kDirect), {16, 10}, Tail::kGlobalAvgPool},
      {"stride", First({2, 23, 21, 3}, 24, 7, 0, kDirect, 4), {24}, Tail::kAvgPool},
      {"several images a unit", First({150, 3, 3, 7}, 17, 3, 1, kDirect), {9, 8}, Tail::kMaxPool},
      {"1×1 first", First({70, 12, 12, 24}, 20, 1, 0), {31, 18, 5}, Tail::kAvgPool},
      {"winograd 8", First({66, 8, 8, 18}, 20, 5, 2, k8), {24, 10}, Tail::kMaxPool},
      {"winograd 8, tiles over the edge", First({2, 19, 21, 10}, 49, 5, 2, k8), {20, 11}},
      {"winograd 6, few images", First({5, 7, 6, 20}, 34, 3, 1, k6), {19}, Tail::kGlobalAvgPool},
      // Weights too far away for pieces of the map; a piece has more pixels than a block of tiles.
      {"winograd 6, far weights", First({1, 20, 20, 320}, 48, 5, 2, k6), {48, 40}},
      {"winograd 4, far weights", First({1, 22, 20, 900}, 48, 3, 1, k4), {72, 40}, Tail::kAvgPool},
      {"kept maps", First({3, 9, 8, 20}, 33, 3, 1, kDirect), {16, 10}, Tail::kNone, {true, true}},
      {"kept maps of tiles",
       First({66, 9, 7, 12}, 20, 3, 1, k6),
       {18, 7, 9},
       Tail::kMaxPool,
       {true, false, true}},
      // Units left over that two threads share, and five.
      {"13 units", First({13, 18, 17, 3}, 24, 5, 2, kDirect), {33, 20}, Tail::kMaxPool},
      {"11 units of tiles, kept maps",
       First({11, 21, 19, 12}, 20, 3, 1, k6),
       {18, 9},
       Tail::kGlobalAvgPool,
       {true}},
      {"7 units and no pool", First({7, 17, 18, 10}, 24, 3, 1, kDirect), {20}},
      {"several images a unit, one left", First({101, 7, 6, 7}, 17, 3, 1, k6), {9}, Tail::kAvgPool},
      {"one layer and its pool", First({66, 9, 7, 12}, 20, 3, 1, kDirect), {}, Tail::kMaxPool},
      {"no images", First({0, 8, 8, 6}, 10, 3, 1), {8, 4}, Tail::kMaxPool},
  };
}

MlpConvProblem ProblemOf(const ChainCase& c) {
  MlpConvProblem problem{.layers = {c.first}, .tail = c.tail};
  for (int64_t width : c.widths) {
    Conv2dProblem layer;
    layer.input = problem.layers.back().output();
    layer.out_channels = width;
    problem.layers.push_back(layer);
  }
  for (size_t i = 0; i < problem.layers.size(); ++i) {
    problem.activations.push_back(kActivations[(i + 1) % 3]);
  }
  Pool2dProblem& pool = problem.pool;
  pool.input = problem.layers.back().output();
  pool.kernel_h = pool.kernel_w = 3;
  pool.stride_h = pool.stride_w = 2;
  pool.ceil_mode = true;
  pool.count_include_pad = false;
  return problem;
}

void RunTail(const MlpConvProblem& p, const float* x, float* y, int threads) {
  if (p.tail == Tail::kMaxPool) cpu::MaxPool2dForward(ChosenTarget(), p.pool, x, y, threads);
  if (p.tail == Tail::kAvgPool) cpu::AvgPool2dForward(ChosenTarget(), p.pool, x, y, threads);
  if (p.tail == Tail::kGlobalAvgPool)
    cpu::GlobalAvgPool2dForward(ChosenTarget(), p.pool.input, x, y, threads);
}

TEST(MlpConvTest, SameBitsAsItsLayers) {
  for (const ChainCase& c : Cases()) {
    const MlpConvProblem p = ProblemOf(c);
    std::vector<Target> targets = TargetsToTest();
    if (p.layers[0].weight_size() > 1 << 18) {  // one lane takes minutes under a sanitizer
      if (Emulated()) continue;
      targets.resize(1);
    }
    const std::vector<float> x = Random(c.first.input.size(), 1);
    std::vector<std::vector<float>> weights, biases;
    for (const Conv2dProblem& layer : p.layers) {
      weights.push_back(Random(layer.weight_size(), static_cast<uint32_t>(weights.size()) + 2));
      biases.push_back(Random(layer.out_channels, static_cast<uint32_t>(weights.size()) + 20));
    }
    const size_t layers = p.layers.size();
    OnEveryTarget(
        c.name,
        [&](Call& call) {
          std::vector<const float*> packed, bias;
          for (size_t i = 0; i < layers; ++i) {
            float* memory =
                call.Aligned(cpu::PackedWeightBytes({ChosenTarget(), p.layers[i], Pass::kForward}));
            cpu::PackWeights({ChosenTarget(), p.layers[i], Pass::kForward}, call.In(weights[i]),
                             nullptr, memory, call.threads());
            packed.push_back(memory);
            bias.push_back(i % 2 == 0 ? call.In(biases[i]) : nullptr);
          }
          // The outputs: every layer's, the tail's, then the chain's own.
          const float* from = call.In(x);
          for (size_t i = 0; i < layers; ++i) {
            float* to = call.Out(p.layers[i].output().size());
            cpu::Conv2dForward(
                {ChosenTarget(), p.layers[i], Pass::kForward}, from, packed[i], bias[i],
                p.activations[i], to,
                call.Scratch(cpu::Conv2dWorkspace({ChosenTarget(), p.layers[i], Pass::kForward})));
            from = to;
          }
          if (p.tail != Tail::kNone) {
            RunTail(p, from, call.Out(p.output().size()), call.threads());
          }
          std::vector<MlpConvLayer> arrays;
          for (size_t i = 0; i < layers; ++i) {
            const bool kept = i < c.kept.size() && c.kept[i] && i + 1 < layers;
            arrays.push_back(
                {packed[i], bias[i], kept ? call.Out(p.layers[i].output().size()) : nullptr});
          }
          cpu::MlpConvForward({ChosenTarget(), p}, call.In(x), arrays.data(), nullptr,
                              call.Out(p.output().size()),
                              call.Scratch(cpu::MlpConvWorkspace({ChosenTarget(), p})));
        },
        [&](const Outputs& got) {
          size_t next = layers + (p.tail != Tail::kNone ? 1 : 0);  // the chain's first output
          for (size_t i = 0; i + 1 < layers; ++i) {
            if (i >= c.kept.size() || !c.kept[i]) continue;
            EXPECT_TRUE(SameBits(got[next++], got[i])) << "layer " << i;
          }
          ASSERT_EQ(got.size(), next + 1);
          const size_t last = p.tail != Tail::kNone ? layers : layers - 1;
          EXPECT_TRUE(SameBits(got[next], got[last]));
          for (float value : got[next]) ASSERT_FALSE(std::isnan(value));
        },
        targets);
  }
}

// A batch of many units sets no memory aside for whole maps.
TEST(MlpConvTest, LargeBatchesNeedNoMapsBetweenLayers) {
  const MlpConvProblem p =
      ProblemOf({"", First({128, 32, 32, 3}, 192, 5, 2), {160, 96}, Tail::kMaxPool});
  const WorkspaceSize size = cpu::MlpConvWorkspace({ChosenTarget(), p});
  EXPECT_EQ(size.shared, 0u);
  EXPECT_LT(size.per_thread, size_t{4} << 20);
}

}  // namespace
}  // namespace ninc::test
