// Layers one after another, with the names that they have in Python's nn.Sequential.
#include <utility>

#include "graph/facts.h"
#include "ninc/networks.h"
#include "run/model_impl.h"

namespace ninc {
namespace {

constexpr char kInput[] = "x";

}  // namespace

Sequential::Sequential() {
  // 0 channels: any. The first layer with weights says what it needs, by its name.
  status_ = graph_.Add(kInput, op::Input{.channels = 0}, {}).status();
}

std::string Sequential::NextName(std::string_view stem, bool once) {
  const int64_t number = ++counts_[std::string(stem)];
  if (number == 1 && once) return std::string(stem);
  return std::string(stem) + std::to_string(number);
}

std::string Sequential::Append(std::string name, Op op, std::optional<float> deviation) {
  if (!status_.ok()) return name;
  status_ = graph_.Add(name, std::move(op), {graph_.output()}).status();
  if (deviation) stds_[name] = *deviation;
  return name;
}

Sequential& Sequential::Add(Op op, std::optional<float> deviation) {
  const OpFacts facts = FactsOf(op);
  if (facts.least_inputs == 1) {
    Append(NextName(facts.stem, facts.once), std::move(op), deviation);
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
  NINC_RETURN_IF_ERROR(graph_.CheckChannels());
  return CatchOutOfMemory("network", [&]() -> Result<std::shared_ptr<Model>> {
    NINC_ASSIGN_OR_RETURN(std::shared_ptr<Model> model, Model::Create(graph_));
    NINC_RETURN_IF_ERROR(model->InitializeParameters(seed, stds_));
    return model;
  });
}

}  // namespace ninc
