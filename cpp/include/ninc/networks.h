// Networks to train: layers one after another, and those of "Network In Network" (Lin, Chen, Yan,
// arXiv 1312.4400). Nodes have the names that ninc.nn gives them in Python, so that the same seed
// gives the same weights, and files go both ways.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ninc/export.h"
#include "ninc/graph.h"
#include "ninc/model.h"
#include "ninc/status.h"

namespace ninc {

// A small multilayer perceptron slid over the picture (section 3.1):
//     convolution kernel×kernel -> ReLU -> convolution 1×1 -> ReLU -> ...
struct MlpConv {
  int64_t in_channels = 1;
  std::vector<int64_t> widths;                  // output channels of each convolution
  int64_t kernel = 1, stride = 1, padding = 0;  // of the first; the others are 1×1
  bool batch_norm = false;                      // behind each convolution, which then has no bias
  bool logits = false;  // the last convolution ends in plain scores: no batch norm, no ReLU
  // Deviations of the first weights, one for each convolution; none: see
  // Model::InitializeParameters.
  std::vector<float> stds = {};
};

// A network of layers, each fed by the one before:
//     Sequential()
//         .Add(MlpConv{.in_channels = 3, .widths = {192, 160, 96}, .kernel = 5, .padding = 2})
//         .Add(op::MaxPool2d{.kernel_h = 3, .kernel_w = 3, .ceil_mode = true})
//         ...
//         .Build(seed)
// Nodes are numbered by kind: conv1, relu_conv1, cccp1, ..., pool1, conv2.
class NINC_API Sequential {
 public:
  Sequential();
  // deviation: that of a convolution's or linear layer's first weights.
  Sequential& Add(Op op, std::optional<float> deviation = {});
  Sequential& Add(const MlpConv& block);
  // The network with its first weights, or why one of the layers cannot stand where it does.
  Result<std::shared_ptr<Model>> Build(uint64_t seed = 0) const;

 private:
  std::string Append(std::string name, Op op, std::optional<float> deviation);
  std::string NextName(std::string_view stem, bool once = false);

  Graph graph_;
  std::map<std::string, int64_t, std::less<>> counts_;  // of names by their stems
  std::map<std::string, float> stds_;
  Status status_;  // of the first Add that failed
};

// What may differ from the published network; 0 and nothing stand for what was published.
struct NinOptions {
  int64_t classes = 0;
  int64_t in_channels = 0;  // 3 for RGB, 1 for grey
  // The variant trained today: each convolution but the last has batch norm after it and no bias,
  // the last ends in plain scores, weights are He's.
  bool batch_norm = false;
  std::optional<bool> average_pool2 = {};  // the second pool: averages, or maxima
  uint64_t seed = 0;                       // of the first weights
};

// "nin-cifar10", "nin-cifar100", "nin-svhn", "nin-mnist" or "nin-imagenet", as ninc.models.create
// in Python makes them: layouts and first weights of the authors' definitions, pictures of any size
// that is large enough for the pools.
NINC_API Result<std::shared_ptr<Model>> CreateNin(std::string_view name,
                                                  const NinOptions& options = {});

}  // namespace ninc
