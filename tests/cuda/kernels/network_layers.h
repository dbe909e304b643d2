// The networks whose cost is counted: their convolutions, and the chains of them that one kernel
// computes forward, each beside the least that it asks for.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "conv2d_layers.h"
#include "cuda/fused/mlpconv.h"

namespace ninc::cuda {

struct NamedChain {
  const char* name;
  std::vector<const char*> layers;  // names of the network's convolutions
};

struct CountedNetwork {
  std::vector<NamedConvolution> layers;
  std::vector<NamedChain> chains;  // that one kernel computes forward
};

inline CountedNetwork NetworkNamed(const std::string& name, int64_t batch, ConvMethod precision) {
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

inline MlpConvProblem ChainOf(const CountedNetwork& network, const NamedChain& chain) {
  MlpConvProblem problem;
  for (const char* name : chain.layers) {
    for (const NamedConvolution& layer : network.layers) {
      if (std::strcmp(layer.name, name) != 0) continue;
      problem.layers.push_back(layer.problem);
      problem.activations.push_back(kRelu);
    }
  }
  return problem;
}

inline bool InChain(const CountedNetwork& network, const char* name) {
  for (const NamedChain& chain : network.chains) {
    for (const char* layer : chain.layers) {
      if (std::strcmp(layer, name) == 0) return true;
    }
  }
  return false;
}

inline int64_t WidestOf(const MlpConvProblem& chain) {
  int64_t widest = 0;
  for (const Conv2dProblem& layer : chain.layers) widest = std::max(widest, layer.out_channels);
  return widest;
}

// Each block gathers its pixels once and reads all weights; layers' outputs are written only where
// a backward pass wants them.
inline Least LeastOfChain(const MlpConvProblem& chain, bool kept) {
  const Conv2dProblem& first = chain.layers.front();
  const int64_t pixels = first.output().pixels();
  const int64_t row_tiles = CeilDiv(pixels, WidestOf(chain) <= 96 ? 64 : 32);
  const ProductShape shape = ShapeOf(first, Pass::kForward);
  Least least{};
  double floats = static_cast<double>(pixels * shape.reduction());
  floats *= ShareInside(first, Pass::kForward);
  double arrays = static_cast<double>(first.input.size());
  for (size_t i = 0; i < chain.layers.size(); ++i) {
    const Conv2dProblem& layer = chain.layers[i];
    const auto weights = static_cast<double>(layer.weight_size());
    const auto outputs = static_cast<double>(layer.output().size());
    const ProductShape product = ShapeOf(layer, Pass::kForward);
    const bool written = kept || i + 1 == chain.layers.size();
    least.multiply_adds += static_cast<double>(pixels) * weights;
    least.tiled += static_cast<double>(RoundUp(pixels, kWarpTile) * product.packed_columns() *
                                       product.stages() * kDepth);
    floats += weights * static_cast<double>(row_tiles) + (written ? outputs : 0);
    arrays += weights + (written ? outputs : 0);
  }
  least.sectors = floats * sizeof(float) / 32;
  least.memory_bytes = arrays * sizeof(float);
  least.blocks = static_cast<double>(row_tiles);
  return least;
}

// On arrays of ones; kept: all maps between layers.
inline std::string ReportOfChain(const MlpConvProblem& chain, bool kept) {
  test::StepCall call(test::Gpu());
  step::MlpConv step{chain, 0, {}, 1};
  std::vector<StepArray> arrays = {Ones(call, chain.layers.front().input.size()),
                                   call.Out(chain.output().size())};
  for (const Conv2dProblem& layer : chain.layers) {
    const bool keep = kept && step.layers.size() + 1 < chain.layers.size();
    const auto at = static_cast<ValueId>(arrays.size());
    step.layers.push_back({at, at + 1, keep ? at + 2 : kNoValue, keep});
    arrays.insert(arrays.end(), {Ones(call, layer.weight_size()), Ones(call, layer.out_channels),
                                 keep ? call.Out(layer.output().size()) : StepArray{}});
  }
  return ReportOf(call, step, arrays);
}

}  // namespace ninc::cuda
