// What Winograd's convolution costs in digits on the 3×3 and 5×5 layers of the five published
// networks: against float64, relative to the output's largest magnitude, beside direct convolution.
// Prints the table of docs/numerics.md; every figure must stay within 2e-5.
#include <cstdio>

#include "check.h"
#include "kernels/conv2d.h"
#include "kernels/conv2d_cost.h"
#include "kernels/reference/conv2d.h"

namespace ninc::test {
namespace {

constexpr double kAllowed = 2e-5;

struct Layer {
  const char* name;
  int64_t batch, channels, map, out_channels, kernel;

  Conv2dProblem problem() const {
    Conv2dProblem p;
    p.input = {batch, map, map, channels};
    p.out_channels = out_channels;
    p.kernel_h = p.kernel_w = kernel;
    p.padding = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
    return p;
  }
};

// Batches are as small as leaves a weight gradient's sum several blocks of tiles.
constexpr Layer kLayers[] = {
    {"CIFAR conv2", 3, 96, 16, 192, 5},   {"CIFAR conv3", 12, 192, 8, 192, 3},
    {"SVHN conv2", 3, 64, 16, 320, 5},    {"SVHN conv3", 6, 128, 8, 384, 5},
    {"MNIST conv2", 6, 48, 14, 128, 5},   {"MNIST conv3", 16, 48, 7, 128, 5},
    {"ImageNet conv2", 1, 96, 27, 256, 5}, {"ImageNet conv3", 3, 256, 13, 384, 3},
    {"ImageNet conv4", 4, 384, 6, 1024, 3},
};

// What a layer sees: pixels behind a ReLU, half of them zero; weights as they are initialised (He et
// al. 2015); gradients masked by the layer's own ReLU.
struct Data {
  explicit Data(const Conv2dProblem& p) {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<float>& values, int64_t count, float deviation, bool half) {
      values.resize(count);
      for (float& value : values) value = deviation * normal(generator);
      if (!half) return;
      for (float& value : values) value = normal(generator) > 0 ? value : 0.0f;
    };
    const double terms = static_cast<double>(p.input.c * p.kernel_h * p.kernel_w);
    fill(weight, p.weight_size(), static_cast<float>(std::sqrt(2.0 / terms)), false);
    fill(x, p.input.size(), 1.0f, false);
    for (float& value : x) value = std::max(value, 0.0f);
    fill(dy, p.output().size(), 1.0f, true);
  }
  std::vector<float> x, weight, dy;
};

std::vector<double> Reference(const Conv2dProblem& p, Pass pass, const Data& data) {
  switch (pass) {
    case Pass::kForward:
      return reference::Conv2dForward(p, data.x, data.weight, {}, kNone);
    case Pass::kBackwardData:
      return reference::Conv2dBackwardData(p, data.dy, data.weight);
    case Pass::kBackwardWeights:
      break;
  }
  return reference::Conv2dBackwardWeights(p, data.x, data.dy);
}

// The largest error over the largest magnitude.
double ErrorOf(const Conv2dProblem& p, Pass pass, const Data& data,
               const std::vector<double>& want) {
  Call call(2, 0);
  const Workspace workspace = call.Scratch(cpu::Conv2dWorkspace(p, pass));
  float* out = call.Out(static_cast<int64_t>(want.size()));
  if (pass == Pass::kBackwardWeights) {
    cpu::Conv2dBackwardWeights(p, call.In(data.x), call.In(data.dy), out, workspace);
  } else {
    float* packed = call.Aligned(cpu::PackedWeightBytes(p, pass));
    cpu::PackWeights(p, pass, call.In(data.weight), nullptr, packed, call.threads());
    if (pass == Pass::kForward) {
      cpu::Conv2dForward(p, call.In(data.x), packed, nullptr, kNone, out, workspace);
    } else {
      cpu::Conv2dBackwardData(p, call.In(data.dy), packed, out, workspace);
    }
  }
  const std::vector<float> got = call.Finish()[0];
  double error = 0, largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    error = std::max(error, std::abs(got[i] - want[i]));
    largest = std::max(largest, std::abs(want[i]));
  }
  return error / largest;
}

TEST(WinogradAccuracyTest, StaysWithinTwoInAHundredThousand) {
  std::printf("| layer | pass | direct | F(2×2) | F(4×4) | F(6×6) |\n|---|---|---|---|---|---|\n");
  for (const Layer& layer : kLayers) {
    Conv2dProblem p = layer.problem();
    const Data data(p);
    for (const auto& [pass, name] : {std::pair(Pass::kForward, "forward"),
                                     {Pass::kBackwardData, "backward data"},
                                     {Pass::kBackwardWeights, "backward weights"}}) {
      const std::vector<double> want = Reference(p, pass, data);
      p.method = ConvMethod::kDirect;
      std::printf("| %s | %s | %.1e |", layer.name, name, ErrorOf(p, pass, data, want));
      for (int outputs : {2, 4, 6}) {
        const int tile = outputs + static_cast<int>(layer.kernel) - 1;
        if (tile > 8) {
          std::printf(" |");
          continue;
        }
        p.method = tile == 4   ? ConvMethod::kWinograd4
                   : tile == 6 ? ConvMethod::kWinograd6
                               : ConvMethod::kWinograd8;
        const double error = ErrorOf(p, pass, data, want);
        std::printf(" %.1e |", error);
        EXPECT_LE(error, kAllowed) << layer.name << ", " << name << ", tile " << tile;
      }
      std::printf("\n");
    }
  }
}

}  // namespace
}  // namespace ninc::test
