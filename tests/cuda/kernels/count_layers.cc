// Counts what the layers of a network cost on the emulated driver, for benchmarks/cuda_report.py.
// Usage: count_layers NETWORK BATCH PRECISION FULL_BATCH, one JSON object a line: the least that
// this batch asks for, the least that FULL_BATCH would, and the driver's counters by kernel.
#include <cinttypes>
#include <cstring>

#include "network_layers.h"

namespace ninc::cuda {
namespace {

void PrintLeast(const char* key, const Least& least) {
  std::printf(
      "\"%s\": {\"multiply_adds\": %.0f, \"sectors\": %.0f, \"memory_bytes\": %.0f, "
      "\"tiled\": %.0f, \"blocks\": %.0f}, ",
      key, least.multiply_adds, least.sectors, least.memory_bytes, least.tiled, least.blocks);
}

// chained: whether a chain computes this forward, all of a network's forward passes being the
// chains and the layers outside of them. dynamic_bytes: shared memory the launch asks for.
void PrintRow(const char* name, const Conv2dProblem& p, const char* pass, bool chained,
              int dynamic_bytes, const Least& least, const Least& full, std::string report) {
  std::replace(report.begin(), report.end(), '\n', ' ');
  std::printf("{\"layer\": \"%s\", \"kernel_size\": %" PRId64 ", \"in_channels\": %" PRId64
              ", \"out_channels\": %" PRId64 ", \"size\": %" PRId64
              ", \"pass\": \"%s\", "
              "\"chained\": %s, \"dynamic_bytes\": %d, ",
              name, p.kernel_h, p.input.c, p.out_channels, p.input.h, pass,
              chained ? "true" : "false", dynamic_bytes);
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
      const bool chained = pass == Pass::kForward && InChain(network, network.layers[i].name);
      PrintRow(network.layers[i].name, p, NameOf(pass), chained, 0, LeastOf(p, pass),
               LeastOf(full.layers[i].problem, pass), ReportOfPass(p, pass));
    }
  }
  for (size_t i = 0; i < network.chains.size(); ++i) {
    const MlpConvProblem chain = ChainOf(network, network.chains[i]);
    const MlpConvProblem full_chain = ChainOf(full, full.chains[i]);
    for (bool kept : {false, true}) {
      const int bytes =
          WidestOf(chain) <= 96 ? ChainMemory<128, 96>::kBytes : ChainMemory<64, 192>::kBytes;
      PrintRow(network.chains[i].name, chain.layers.front(), kept ? "training" : "inference", false,
               bytes, LeastOfChain(chain, kept), LeastOfChain(full_chain, kept),
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
