// Layers one after another, with the names that python/ninc/nn/description.py gives them.
#include <utility>

#include "ninc/networks.h"
#include "run/model_impl.h"

namespace ninc {
namespace {

constexpr char kInput[] = "x";

// The front of a node's name.
struct Stem {
  template <class Other>
  const char* operator()(const Other&) const {
    return nullptr;  // what does not have one input stands in no Sequential
  }
  const char* operator()(const op::Conv2d&) const { return "conv"; }
  const char* operator()(const op::BatchNorm2d&) const { return "bn"; }
  const char* operator()(const op::Relu&) const { return "relu"; }
  const char* operator()(const op::Relu6&) const { return "relu"; }
  const char* operator()(const op::Clip&) const { return "clip"; }
  const char* operator()(const op::PRelu&) const { return "prelu"; }
  const char* operator()(const op::Slice&) const { return "slice"; }
  const char* operator()(const op::Pad&) const { return "pad"; }
  const char* operator()(const op::ChannelShuffle&) const { return "shuffle"; }
  const char* operator()(const op::LocalResponseNorm&) const { return "lrn"; }
  const char* operator()(const op::MaxPool2d&) const { return "pool"; }
  const char* operator()(const op::AvgPool2d&) const { return "pool"; }
  const char* operator()(const op::GlobalAvgPool2d&) const { return "gap"; }
  const char* operator()(const op::GlobalMaxPool2d&) const { return "gmp"; }
  const char* operator()(const op::Dropout&) const { return "drop"; }
  const char* operator()(const op::Linear&) const { return "linear"; }
  const char* operator()(const op::Flatten&) const { return "flatten"; }
  const char* operator()(const op::Softmax&) const { return "softmax"; }
  const char* operator()(const op::LeakyRelu&) const { return "lrelu"; }
  const char* operator()(const op::Elu&) const { return "elu"; }
  const char* operator()(const op::Sigmoid&) const { return "sigmoid"; }
  const char* operator()(const op::HardSigmoid&) const { return "hsigmoid"; }
  const char* operator()(const op::Tanh&) const { return "tanh"; }
  const char* operator()(const op::Silu&) const { return "silu"; }
  const char* operator()(const op::HardSwish&) const { return "hswish"; }
  const char* operator()(const op::Gelu&) const { return "gelu"; }
  const char* operator()(const op::GeluTanh&) const { return "gelu"; }
};

// One of these is the rule in a network, so the first goes without a number: "gap", then "gap2".
bool GoesWithoutNumber(std::string_view stem) {
  return stem == "gap" || stem == "flatten" || stem == "softmax";
}

}  // namespace

Sequential::Sequential() {
  // 0 channels: any. The first layer with weights says what it needs, by its name.
  status_ = graph_.Add(kInput, op::Input{.channels = 0}, {}).status();
}

std::string Sequential::NextName(std::string_view stem) {
  const int64_t number = ++counts_[std::string(stem)];
  if (number == 1 && GoesWithoutNumber(stem)) return std::string(stem);
  return std::string(stem) + std::to_string(number);
}

std::string Sequential::Append(std::string name, Op op, std::optional<float> deviation) {
  if (!status_.ok()) return name;
  status_ = graph_.Add(name, std::move(op), {graph_.output()}).status();
  if (deviation) stds_[name] = *deviation;
  return name;
}

Sequential& Sequential::Add(Op op, std::optional<float> deviation) {
  const char* stem = std::visit(Stem(), op);
  if (stem != nullptr) {
    Append(NextName(stem), std::move(op), deviation);
  } else if (status_.ok()) {
    status_ = InvalidModel("a Sequential's layers have one input, that of the layer before; got " +
                           std::string(OpName(op)));
  }
  return *this;
}

Sequential& Sequential::Add(const MlpConv& block) {
  if (status_.ok() && block.widths.empty()) {
    status_ = InvalidModel("an MlpConv needs one width at least, got none");
  }
  if (status_.ok() && !block.stds.empty() && block.stds.size() != block.widths.size()) {
    status_ = InvalidModel("an MlpConv of " + std::to_string(block.widths.size()) +
                           " convolutions needs as many stds, or none, got " +
                           std::to_string(block.stds.size()));
  }
  if (!status_.ok()) return *this;
  int64_t channels = block.in_channels;
  for (size_t i = 0; i < block.widths.size(); ++i) {
    const bool bare = block.logits && i + 1 == block.widths.size();
    const bool normalised = block.batch_norm && !bare;
    op::Conv2d conv{.in_channels = channels,
                    .out_channels = block.widths[i],
                    .padding = {},
                    .bias = !normalised};
    if (i == 0) {
      conv.kernel_h = conv.kernel_w = block.kernel;
      conv.stride_h = conv.stride_w = block.stride;
      conv.padding = {block.padding, block.padding, block.padding, block.padding};
    }
    const std::optional<float> deviation =
        block.stds.empty() ? std::optional<float>() : std::optional<float>(block.stds[i]);
    const std::string name = Append(NextName(i == 0 ? "conv" : "cccp"), conv, deviation);
    if (normalised) Append("bn_" + name, op::BatchNorm2d{.channels = block.widths[i]}, {});
    if (!bare) Append("relu_" + name, op::Relu(), {});
    channels = block.widths[i];
  }
  return *this;
}

Result<std::shared_ptr<Model>> Sequential::Build(uint64_t seed) const {
  NINC_RETURN_IF_ERROR(status_);
  return CatchOutOfMemory("network", [&]() -> Result<std::shared_ptr<Model>> {
    NINC_ASSIGN_OR_RETURN(std::shared_ptr<Model> model, Model::Create(graph_));
    NINC_RETURN_IF_ERROR(model->InitializeParameters(seed, stds_));
    return model;
  });
}

}  // namespace ninc
