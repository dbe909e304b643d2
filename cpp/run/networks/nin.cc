// The published networks; python/ninc/models.py has the same numbers and says where they are from.
#include <algorithm>
#include <array>
#include <iterator>

#include "ninc/networks.h"
#include "run/model_impl.h"

namespace ninc {
namespace {

struct Block {
  std::array<int64_t, 3> widths;  // 0: the number of classes
  int64_t kernel = 5, stride = 1, padding = 2;
  std::array<float, 3> stds = {0.05f, 0.05f, 0.05f};
};

struct Network {
  std::string_view name;
  int64_t classes, channels;
  bool average_pool2;
  bool one_dropout;  // behind the last pool, instead of one behind each
  std::array<Block, 4> blocks;
  size_t count = 3;  // of blocks
};

constexpr Network kNetworks[] = {
    {"nin-cifar10",
     10,
     3,
     true,
     false,
     {{{{192, 160, 96}}, {{192, 192, 192}}, {{192, 192, 0}, 3, 1, 1}}}},
    {"nin-cifar100",
     100,
     3,
     false,
     false,
     {{{{192, 160, 96}, 5, 1, 2, {0.001f, 0.01f, 0.01f}},
       {{192, 192, 192}},
       {{192, 192, 0}, 3, 1, 1}}}},
    {"nin-svhn", 10, 3, false, false, {{{{128, 96, 64}}, {{320, 256, 128}}, {{384, 256, 0}}}}},
    {"nin-mnist", 10, 1, false, false, {{{{96, 64, 48}}, {{128, 96, 48}}, {{128, 96, 0}}}}},
    {"nin-imagenet",
     1000,
     3,
     false,
     true,
     {{{{96, 96, 96}, 11, 4, 0, {0.01f, 0.05f, 0.05f}},
       {{256, 256, 256}},
       {{384, 384, 384}, 3, 1, 1, {0.01f, 0.05f, 0.05f}},
       {{1024, 1024, 0}, 3, 1, 1, {0.05f, 0.05f, 0.01f}}}},
     4},
};

// 3×3 at stride 2, rounding up: 32 -> 16 -> 8, where rounding down would give 15 and 7. A window
// over the edge is averaged over what it covers, as cuda-convnet and Caffe do.
Op Pool(bool average) {
  if (average) {
    return op::AvgPool2d{
        .kernel_h = 3, .kernel_w = 3, .ceil_mode = true, .count_include_pad = false};
  }
  return op::MaxPool2d{.kernel_h = 3, .kernel_w = 3, .ceil_mode = true};
}

Status CheckOptions(const Network& network, const NinOptions& options) {
  for (const auto& [name, value] :
       {std::pair("classes", options.classes), std::pair("in_channels", options.in_channels)}) {
    if (value >= 0) continue;
    return InvalidArgument(std::string(name) + " must be 1 or more, or 0 for the published " +
                           "network's, got " + std::to_string(value));
  }
  if (!network.one_dropout || !options.average_pool2) return {};
  return InvalidArgument(std::string(network.name) + " has no average_pool2: its pools are maxima");
}

}  // namespace

Result<std::shared_ptr<Model>> CreateNin(std::string_view name, const NinOptions& options) {
  const auto* network = std::find_if(std::begin(kNetworks), std::end(kNetworks),
                                     [&](const Network& one) { return one.name == name; });
  if (network == std::end(kNetworks)) {
    std::string known;
    for (const Network& one : kNetworks)
      known += (known.empty() ? "" : ", ") + std::string(one.name);
    return InvalidArgument("unknown network '" + std::string(name) + "'; known are " + known);
  }
  NINC_RETURN_IF_ERROR(CheckOptions(*network, options));
  const int64_t classes = options.classes == 0 ? network->classes : options.classes;
  int64_t channels = options.in_channels == 0 ? network->channels : options.in_channels;
  Sequential layers;
  for (size_t i = 0; i < network->count; ++i) {
    const Block& block = network->blocks[i];
    const bool last = i + 1 == network->count;
    MlpConv mlpconv{.in_channels = channels,
                    .widths = {block.widths.begin(), block.widths.end()},
                    .kernel = block.kernel,
                    .stride = block.stride,
                    .padding = block.padding,
                    .batch_norm = options.batch_norm,
                    .logits = options.batch_norm && last};
    if (last) mlpconv.widths.back() = classes;
    if (!options.batch_norm) mlpconv.stds = {block.stds.begin(), block.stds.end()};
    layers.Add(mlpconv);
    channels = mlpconv.widths.back();
    if (last) break;
    layers.Add(Pool(i == 1 && options.average_pool2.value_or(network->average_pool2)));
    if (!network->one_dropout || i + 2 == network->count) layers.Add(op::Dropout{.p = 0.5f});
  }
  return layers.Add(op::GlobalAvgPool2d()).Build(options.seed);
}

}  // namespace ninc
