// Counts what the layers of a network cost on the emulated driver, for benchmarks/cuda_report.py.
// Usage: count_layers NETWORK BATCH PRECISION FULL_BATCH, one JSON object a line: the least that
// this batch asks for, the least that FULL_BATCH would, and the driver's counters by kernel.
#include <cinttypes>
#include <cstring>

#include "conv2d_layers.h"
#include "cuda/mlpconv.h"

namespace ninc::cuda {
namespace {

struct NamedChain {
  const char* name;
  std::vector<const char*> layers;  // names of the network's convolutions
};

struct CountedNetwork {
  std::vector<NamedConvolution> layers;
  std::vector<NamedChain> chains;  // that one kernel computes forward
};

CountedNetwork NetworkNamed(const std::string& name, int64_t batch, ConvMethod precision) {
  if (name == "nin-cifar10") {
    return {NinCifarConvolutions(batch, precision),
            {{"mlpconv1", {"conv1", "cccp1", "cccp2"}},
             {"mlpconv2", {"conv2", "cccp3, cccp4", "cccp3, cccp4"}},
             {"mlpconv3", {"conv3", "cccp5", "cccp6"}}}};
  }
  const auto layer = [&](int64_t size, int64_t channels, int64_t out_channels, int64_t kernel,
                         int64_t stride = 1) {
    return Convolution(batch, precision, size, channels, out_channels, kernel, stride);
  };
  return {{{"conv1", layer(224, 3, 96, 11, 4)},
           {"cccp1, cccp2", layer(54, 96, 96, 1)},
           {"conv2", layer(27, 96, 256, 5)},
           {"cccp3, cccp4", layer(27, 256, 256, 1)},
           {"conv3", layer(13, 256, 384, 3)},
           {"cccp5, cccp6", layer(13, 384, 384, 1)},
           {"conv4", layer(6, 384, 1024, 3)},
           {"cccp7", layer(6, 1024, 1024, 1)},
           {"cccp8", layer(6, 1024, 1000, 1)}},
          {{"mlpconv1", {"conv1", "cccp1, cccp2", "cccp1, cccp2"}}}};
}

MlpConvProblem ChainOf(const CountedNetwork& network, const NamedChain& chain) {
  MlpConvProblem problem;
  for (const char* name : chain.layers) {
    for (const NamedConvolution& layer : network.layers) {
      if (std::strcmp(layer.name, name) != 0) continue;
      problem.layers.push_back(layer.problem);
      problem.activations.push_back(test::kRelu);
    }
  }
  return problem;
}

// Each block gathers its pixels once and reads all weights; layers' outputs are written only where
// a backward pass wants them.
Least LeastOfChain(const MlpConvProblem& chain, bool kept) {
  const Conv2dProblem& first = chain.layers.front();
  int64_t widest = 0;
  for (const Conv2dProblem& layer : chain.layers) widest = std::max(widest, layer.out_channels);
  const int64_t pixels = first.output().pixels();
  const int64_t row_tiles = CeilDiv(pixels, widest <= 96 ? 128 : 64);
  const ProductShape shape = ShapeOf(first, Pass::kForward);
  Least least{};
  double floats = static_cast<double>(pixels * shape.reduction());
  floats *= ShareInside(first, Pass::kForward);
  double arrays = static_cast<double>(first.input.size());
  for (size_t i = 0; i < chain.layers.size(); ++i) {
    const Conv2dProblem& layer = chain.layers[i];
    const auto weights = static_cast<double>(layer.weight_size());
    const auto outputs = static_cast<double>(layer.output().size());
    const bool written = kept || i + 1 == chain.layers.size();
    least.multiply_adds += static_cast<double>(pixels) * weights;
    floats += weights * static_cast<double>(row_tiles) + (written ? outputs : 0);
    arrays += weights + (written ? outputs : 0);
  }
  least.sectors = floats * sizeof(float) / 32;
  least.memory_bytes = arrays * sizeof(float);
  least.blocks = static_cast<double>(row_tiles);
  return least;
}

std::string ReportOfChain(const MlpConvProblem& chain, bool kept) {
  Arrays arrays;
  const float* x = arrays.In(std::vector<float>(chain.layers.front().input.size(), 1.0f));
  float* y = arrays.Out(chain.output().size());
  const Workspace workspace = arrays.Scratch(MlpConvWorkspace(chain));
  std::vector<MlpConvLayer> layers;
  for (const Conv2dProblem& layer : chain.layers) {
    const float* weight = arrays.In(std::vector<float>(layer.weight_size(), 1.0f));
    float* packed = arrays.Packed(PackedWeightBytes(layer, Pass::kForward));
    EXPECT_OK(PackWeights(arrays.stream(), layer, Pass::kForward, weight, nullptr, packed));
    const bool last = layers.size() + 1 == chain.layers.size();
    layers.push_back({.packed = packed,
                      .bias = arrays.In(std::vector<float>(layer.out_channels, 1.0f)),
                      .kept = kept && !last ? arrays.Out(layer.output().size()) : nullptr});
  }
  EXPECT_OK(arrays.stream().Synchronize());
  emulator::Control::Set("count", 1);
  emulator::Control::ResetCounters();
  const float* map = nullptr;
  EXPECT_OK(MlpConvForward(arrays.stream(), chain, x, layers.data(), y, workspace, &map));
  EXPECT_OK(arrays.stream().Synchronize());
  emulator::Control::Set("count", 0);
  return emulator::Control::Report();
}

void PrintLeast(const char* key, const Least& least) {
  std::printf(
      "\"%s\": {\"multiply_adds\": %.0f, \"sectors\": %.0f, \"memory_bytes\": %.0f, "
      "\"blocks\": %.0f}, ",
      key, least.multiply_adds, least.sectors, least.memory_bytes, least.blocks);
}

void PrintRow(const char* name, const Conv2dProblem& p, const char* pass, const Least& least,
              const Least& full, std::string report) {
  std::replace(report.begin(), report.end(), '\n', ' ');
  std::printf("{\"layer\": \"%s\", \"kernel_size\": %" PRId64 ", \"in_channels\": %" PRId64
              ", \"out_channels\": %" PRId64 ", \"size\": %" PRId64 ", \"pass\": \"%s\", ",
              name, p.kernel_h, p.input.c, p.out_channels, p.input.h, pass);
  PrintLeast("least", least);
  PrintLeast("full", full);
  std::printf("\"kernels\": %s}\n", report.c_str());
  std::fflush(stdout);
}

void CountLayers(const CountedNetwork& network, const CountedNetwork& full) {
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const Conv2dProblem& p = network.layers[i].problem;
    for (Pass pass : {Pass::kForward, Pass::kBackwardData, Pass::kBackwardWeights}) {
      if (i == 0 && pass == Pass::kBackwardData) continue;
      PrintRow(network.layers[i].name, p, NameOf(pass), LeastOf(p, pass),
               LeastOf(full.layers[i].problem, pass), ReportOfPass(p, pass));
    }
  }
  for (size_t i = 0; i < network.chains.size(); ++i) {
    const MlpConvProblem chain = ChainOf(network, network.chains[i]);
    const MlpConvProblem full_chain = ChainOf(full, full.chains[i]);
    for (bool kept : {false, true}) {
      PrintRow(network.chains[i].name, chain.layers.front(), kept ? "training" : "inference",
               LeastOfChain(chain, kept), LeastOfChain(full_chain, kept),
               ReportOfChain(chain, kept));
    }
  }
}

int Main(int count, char** arguments) {
  if (count != 5) {
    std::fprintf(stderr, "usage: count_layers NETWORK BATCH PRECISION FULL_BATCH\n");
    return 2;
  }
  if (!emulator::Control::Present()) {
    std::fprintf(stderr, "count_layers needs the emulated driver on the library path\n");
    return 1;
  }
  const std::string network = arguments[1];
  for (ConvMethod precision : kPrecisions) {
    if (std::strcmp(NameOf(precision), arguments[3]) != 0) continue;
    CountLayers(NetworkNamed(network, std::atoll(arguments[2]), precision),
                NetworkNamed(network, std::atoll(arguments[4]), precision));
    return testing::Test::HasFailure() ? 1 : 0;
  }
  std::fprintf(stderr, "count_layers: precision must be float32, strict or fast, got '%s'\n",
               arguments[3]);
  return 2;
}

}  // namespace
}  // namespace ninc::cuda

int main(int count, char** arguments) {
  testing::InitGoogleTest(&count, arguments);
  return ninc::cuda::Main(count, arguments);
}
