// Winograd's convolution, forced: every tile size on every target against the float64 reference,
// and the errors it makes on the layers of the published networks.
#include "cpu/conv2d/winograd/winograd.h"

#include "cpu/conv2d/choose/conv2d_choose.h"
#include "cpu/conv2d/conv2d.h"
#include "cpu/conv2d/winograd/winograd_product.h"
#include "reference/conv2d.h"
#include "support/cases.h"
#include "support/check.h"
#include "winograd_matrices.h"

namespace ninc::test {
namespace {

struct Tile {
  ConvMethod method;
  int64_t kernel;
};
constexpr Tile kTiles[] = {{ConvMethod::kWinograd4, 3},
                           {ConvMethod::kWinograd6, 3},
                           {ConvMethod::kWinograd8, 3},
                           {ConvMethod::kWinograd6, 5},
                           {ConvMethod::kWinograd8, 5}};

std::vector<Conv2dProblem> WinogradProblems() {
  std::vector<Conv2dProblem> problems;
  for (const auto& [method, kernel] : kTiles) {
    const int64_t r = kernel, half = kernel / 2;
    std::vector<ConvCase> cases = {
        // One tile and parts of some, in either direction; batches of none, one and more.
        {.n = 1, .c = 4, .h = r, .w = r, .k = 3, .r = r, .s = r},
        {.n = 3, .c = 5, .h = 9, .w = 13, .k = 7, .r = r, .s = r, .padding = Same(half)},
        {.n = 2, .c = 20, .h = 14, .w = 8, .k = 33, .r = r, .s = r, .padding = Same(half)},
        {.n = 0, .c = 8, .h = 6, .w = 6, .k = 16, .r = r, .s = r, .padding = Same(half)},
        // Padding of every side by itself, none, and more than the kernel has.
        {.n = 1, .c = 3, .h = 8, .w = 7, .k = 6, .r = r, .s = r, .padding = {1, 0, 2, 3}},
        {.n = 1, .c = 6, .h = 10, .w = 11, .k = 5, .r = r, .s = r},
        {.n = 1, .c = 2, .h = 2, .w = 3, .k = 4, .r = r, .s = r, .padding = {6, 7, 8, 5}},
        {.n = 1, .c = 9, .h = 1, .w = 1, .k = 10, .r = r, .s = r, .padding = Same(half)},
        // Several slices of output channels and, in the weight gradient, blocks of input channels.
        {.n = 1, .c = 100, .h = 6, .w = 6, .k = 120, .r = r, .s = r, .padding = Same(half)},
        // Weights too many to stay in L2, and more tiles than a register tile or a block has.
        {.n = 3, .c = 130, .h = 9, .w = 14, .k = 150, .r = r, .s = r, .padding = Same(half)},
        // The same of few channels, of which a gradient's task owns all frequencies.
        {.n = 3, .c = 3, .h = 20, .w = 21, .k = 200, .r = r, .s = r, .padding = Same(half)},
        // And tiles for several of its chunks.
        {.n = 9, .c = 3, .h = 31, .w = 32, .k = 50, .r = r, .s = r, .padding = Same(half)},
        // More tiles than a block has.
        {.n = 9, .c = 17, .h = 13, .w = 12, .k = 18, .r = r, .s = r, .padding = Same(half)},
    };
    // The weight gradient's sums for all output channels would be too many at a time.
    if (method == ConvMethod::kWinograd8) {
      cases.push_back({.n = 1, .c = 350, .h = 6, .w = 5, .k = 250, .r = r, .s = r});
    }
    for (int64_t channels : {1, 2, 3, 4, 7, 8, 15, 16, 31, 33, 47, 48, 49, 65}) {
      cases.push_back({.n = 1, .c = 5, .h = 7, .w = 6, .k = channels, .r = r, .s = r});
      cases.push_back({.n = 1, .c = channels, .h = 6, .w = 7, .k = 6, .r = r, .s = r});
    }
    for (const ConvCase& c : cases) {
      problems.push_back(c.problem());
      problems.back().method = method;
    }
  }
  return problems;
}

cpu::WinogradShape ShapeOf(const Conv2dProblem& p, Pass pass) {
  const cpu::WinogradShape shape = cpu::ChooseWinograd(ChosenTarget(), p, pass);
  EXPECT_GT(shape.tile, 0) << p.ToString();
  return shape;
}

// A sum over `terms` products, and the additions of both transforms in both dimensions.
double Terms(int64_t terms, const cpu::WinogradShape& shape) {
  return static_cast<double>(terms + 4 * shape.tile);
}

TEST(WinogradTest, Forward) {
  uint32_t seed = 0;
  for (const Conv2dProblem& p : WinogradProblems()) {
    ASSERT_TRUE(p.Validate().ok()) << p.Validate().message();
    const Activation activation = kActivations[++seed % 3];
    const std::vector<float> x = Random(p.input.size(), seed);
    const std::vector<float> weight = Random(p.weight_size(), seed + 1);
    const std::vector<float> bias = Random(seed % 2 == 0 ? p.out_channels : 0, seed + 2);
    const std::vector<double> want = reference::Conv2dForward(p, x, weight, bias, activation);
    OnEveryTarget(
        p.ToString(),
        [&](Call& call) {
          float* packed = call.Aligned(cpu::PackedWeightBytes({ChosenTarget(), p, Pass::kForward}));
          cpu::PackWeights({ChosenTarget(), p, Pass::kForward}, call.In(weight), nullptr, packed,
                           call.threads());
          cpu::Conv2dForward(
              {ChosenTarget(), p, Pass::kForward}, call.In(x), packed,
              bias.empty() ? nullptr : call.In(bias), activation, call.Out(p.output().size()),
              call.Scratch(cpu::Conv2dWorkspace({ChosenTarget(), p, Pass::kForward})));
        },
        [&](const Outputs& got) {
          const cpu::WinogradShape shape = ShapeOf(p, Pass::kForward);
          std::vector<double> rms = WinogradForwardRms(p, shape, x, weight);
          for (double& value : rms) value += bias.empty() ? 0.0 : 1.0;  // |bias| < 1
          ExpectClose(got[0], want, rms, Terms(p.input.c, shape));
        });
  }
}

// Every register tile for far weights, with each number of lines it may fetch.
TEST(WinogradTest, FarProducts) {
  constexpr int64_t kDepth = 5;
  const std::vector<float> pixels = Random(cpu::kMaxFarRows * kDepth, 1);
  const std::vector<float> weights = Random(kDepth * cpu::kMaxTileVectors * cpu::kMaxLanes, 2);
  OnEveryTarget(
      "products of far weights",
      [&](Call& call) {
        const cpu::ProductKernels& kernels = cpu::Products(ChosenTarget());
        for (int rows = 1; rows <= kernels.far_rows; ++rows) {
          for (int vectors = 1; vectors <= kernels.shape.vectors; ++vectors) {
            for (int lines = 0; lines <= cpu::kMaxFarLines; ++lines) {
              const int64_t width = vectors * kernels.shape.lanes;
              const auto product = kernels.far[rows - 1][vectors - 1][lines];
              const int64_t most = (width + cpu::kLineFloats - 1) / cpu::kLineFloats;
              ASSERT_EQ(product != nullptr, lines <= most);
              if (product == nullptr) continue;
              const float* const b = call.In(weights);
              const float* const a = call.In(pixels);
              product({.pixels = a,
                       .pixels_row = kDepth,
                       .depth = kDepth,
                       .weights = b,
                       .products = call.Out(rows * width),
                       .products_row = width,
                       .next_pixels = a,
                       .far = b});
            }
          }
        }
      },
      [&](const Outputs& got) {
        size_t output = 0;
        const int64_t lanes = cpu::Products(ChosenTarget()).shape.lanes;
        for (int64_t rows = 1; rows <= cpu::Products(ChosenTarget()).far_rows; ++rows) {
          for (int64_t vectors = 1; vectors <= cpu::Products(ChosenTarget()).shape.vectors;
               ++vectors) {
            const int64_t width = vectors * lanes;
            std::vector<double> want(rows * width), magnitude(rows * width);
            for (int64_t i = 0; i < rows * width; ++i) {
              for (int64_t c = 0; c < kDepth; ++c) {
                const double term =
                    double{pixels[i / width * kDepth + c]} * double{weights[c * width + i % width]};
                want[i] += term;
                magnitude[i] += std::abs(term);
              }
            }
            const int64_t most = (width + cpu::kLineFloats - 1) / cpu::kLineFloats;
            for (int64_t lines = 0; lines <= most; ++lines) {
              ExpectClose(got[output++], want, magnitude, kDepth);
            }
          }
        }
        EXPECT_EQ(output, got.size());
      });
}

TEST(WinogradTest, BackwardData) {
  uint32_t seed = 100;
  for (const Conv2dProblem& p : WinogradProblems()) {
    const std::vector<float> dy = Random(p.output().size(), ++seed);
    const std::vector<float> weight = Random(p.weight_size(), seed + 1);
    const std::vector<double> want = reference::Conv2dBackwardData(p, dy, weight);
    // The convolution of dy with mirrored weights.
    Conv2dProblem mirrored = p;
    mirrored.input = p.output();
    mirrored.out_channels = p.input.c;
    const int64_t reach = p.kernel_h - 1, window = p.kernel_h * p.kernel_w;
    mirrored.padding = {reach - p.padding.top, reach - p.padding.left, reach - p.padding.bottom,
                        reach - p.padding.right};
    std::vector<float> mirrored_weight(weight.size());
    for (int64_t k = 0; k < p.out_channels; ++k) {
      for (int64_t c = 0; c < p.input.c; ++c) {
        for (int64_t t = 0; t < window; ++t) {
          mirrored_weight[(c * p.out_channels + k) * window + window - 1 - t] =
              weight[(k * p.input.c + c) * window + t];
        }
      }
    }
    OnEveryTarget(
        p.ToString(),
        [&](Call& call) {
          float* packed =
              call.Aligned(cpu::PackedWeightBytes({ChosenTarget(), p, Pass::kBackwardData}));
          cpu::PackWeights({ChosenTarget(), p, Pass::kBackwardData}, call.In(weight), nullptr,
                           packed, call.threads());
          cpu::Conv2dBackwardData(
              {ChosenTarget(), p, Pass::kBackwardData}, call.In(dy), packed, nullptr, {},
              call.Out(p.input.size()),
              call.Scratch(cpu::Conv2dWorkspace({ChosenTarget(), p, Pass::kBackwardData})));
        },
        [&](const Outputs& got) {
          const cpu::WinogradShape shape = ShapeOf(p, Pass::kBackwardData);
          ExpectClose(got[0], want, WinogradForwardRms(mirrored, shape, dy, mirrored_weight),
                      Terms(p.out_channels, shape));
        });
  }
}

TEST(WinogradTest, BackwardWeights) {
  uint32_t seed = 200;
  for (const Conv2dProblem& p : WinogradProblems()) {
    const std::vector<float> x = Random(p.input.size(), ++seed);
    const std::vector<float> dy = Random(p.output().size(), seed + 1);
    const std::vector<double> want = reference::Conv2dBackwardWeights(p, x, dy);
    std::vector<double> want_bias(p.out_channels), bias_magnitude(p.out_channels);
    for (size_t i = 0; i < dy.size(); ++i) {
      want_bias[i % p.out_channels] += dy[i];
      bias_magnitude[i % p.out_channels] += std::abs(dy[i]);
    }
    OnEveryTarget(
        p.ToString(),
        [&](Call& call) {
          const WorkspaceSize size =
              cpu::Conv2dWorkspace({ChosenTarget(), p, Pass::kBackwardWeights});
          float* dweight = call.Out(p.weight_size());
          cpu::Conv2dBackwardWeights({ChosenTarget(), p, Pass::kBackwardWeights}, call.In(x),
                                     call.In(dy), dweight, call.Out(p.out_channels),
                                     call.Scratch(size));
          cpu::Conv2dBackwardWeights({ChosenTarget(), p, Pass::kBackwardWeights}, call.In(x),
                                     call.In(dy), call.Out(p.weight_size()), nullptr,
                                     call.Scratch(size));
        },
        [&](const Outputs& got) {
          const cpu::WinogradShape shape = ShapeOf(p, Pass::kBackwardWeights);
          const int64_t m = shape.outputs();
          const int64_t tiles = p.input.n * ((p.out_h() + m - 1) / m) * ((p.out_w() + m - 1) / m);
          ExpectClose(got[0], want, WinogradWeightsRms(p, shape, x, dy), Terms(tiles, shape));
          ExpectClose(got[1], want_bias, bias_magnitude, static_cast<double>(p.output().pixels()));
          EXPECT_TRUE(SameBits(got[2], got[0]));
        });
  }
}

TEST(WinogradTest, ScaleMultipliesOutputChannels) {
  for (const Conv2dProblem& p : WinogradProblems()) {
    const std::vector<float> weight = Random(p.weight_size(), 2);
    const std::vector<float> scale = Random(p.out_channels, 3, 0.5f, 2.0f);
    std::vector<float> scaled = weight;
    const int64_t filter = p.weight_size() / p.out_channels;
    for (size_t i = 0; i < scaled.size(); ++i) scaled[i] *= scale[i / filter];
    for (Pass pass : {Pass::kForward, Pass::kBackwardData}) {
      OnEveryTarget(
          p.ToString(),
          [&](Call& call) {
            const int64_t count = static_cast<int64_t>(
                cpu::PackedWeightBytes({ChosenTarget(), p, pass}) / sizeof(float));
            cpu::PackWeights({ChosenTarget(), p, pass}, call.In(weight), call.In(scale),
                             call.Out(count), call.threads());
            cpu::PackWeights({ChosenTarget(), p, pass}, call.In(scaled), nullptr, call.Out(count),
                             call.threads());
          },
          [](const Outputs& got) { EXPECT_TRUE(SameBits(got[0], got[1])); });
    }
  }
}

TEST(WinogradTest, NanGoesThroughTheActivation) {
  for (const Conv2dProblem& p : WinogradProblems()) {
    const std::vector<float> x(p.input.size(), std::numeric_limits<float>::quiet_NaN());
    const std::vector<float> weight = Random(p.weight_size(), 1);
    if (p.padding != Padding{}) continue;
    OnEveryTarget(
        p.ToString(),
        [&](Call& call) {
          float* packed = call.Aligned(cpu::PackedWeightBytes({ChosenTarget(), p, Pass::kForward}));
          cpu::PackWeights({ChosenTarget(), p, Pass::kForward}, call.In(weight), nullptr, packed,
                           call.threads());
          cpu::Conv2dForward(
              {ChosenTarget(), p, Pass::kForward}, call.In(x), packed, nullptr, kRelu,
              call.Out(p.output().size()),
              call.Scratch(cpu::Conv2dWorkspace({ChosenTarget(), p, Pass::kForward})));
        },
        [](const Outputs& got) {
          for (float value : got[0]) EXPECT_TRUE(std::isnan(value));
        });
  }
}

}  // namespace
}  // namespace ninc::test
