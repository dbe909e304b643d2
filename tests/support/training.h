// A network, its trainer and a batch: what tests of training steps begin with.
#pragma once

#include <memory>
#include <vector>

#include "support/interpreter.h"
#include "support/networks.h"

namespace ninc::test {

inline constexpr uint64_t kSeed = 0x123456789ABCDEF, kStep = 3;

// The map the loss works on: the output, or what goes into the Softmax that ends the network.
inline NodeId LogitsOf(const Graph& graph) {
  const Node& last = graph.node(graph.output());
  return std::holds_alternative<op::Softmax>(last.op) ? last.inputs[0] : graph.output();
}

struct Problem {
  explicit Problem(const Network& network, float smoothing = 0.1f)
      : input(network.input),
        model(RandomModel(network)),
        trainer(Trainer::Create(model, smoothing).value()),
        x(Random(input.size(), 7)),
        classes(model->OutputShape(input).value().c),
        labels(Labels(input.n, classes)) {}

  Result<StepResult> Gradients(std::vector<Tensor>* gradients) {
    return trainer->Gradients(input, View(input, x), labels.data(), kSeed, kStep, gradients);
  }
  StepSettings Settings(float lr, float momentum = 0, float decay = 0) const {
    StepSettings settings;
    settings.rule = rule::Sgd{momentum};
    settings.updates.assign(Trainable(), {lr, decay});
    settings.seed = kSeed;
    settings.step = kStep;
    return settings;
  }
  size_t Trainable() const { return TrainableCount(*model); }
  // One of the arrays that the optimiser keeps: SGD's only one is its velocity.
  SharedTensors State(size_t array = 0) const {
    return trainer->optimizer_state().value().arrays.at(array);
  }
  Result<StepResult> Step(const StepSettings& settings) {
    return trainer->Step(input, View(input, x), labels.data(), settings);
  }
  std::vector<std::vector<float>> Parameters() const {
    std::vector<std::vector<float>> values;
    for (size_t i = 0; i < model->specs().size(); ++i) values.push_back(model->parameter(i).data);
    return values;
  }

  Shape input;
  std::shared_ptr<Model> model;
  std::unique_ptr<Trainer> trainer;
  std::vector<float> x;
  int64_t classes;
  std::vector<int64_t> labels;
};

}  // namespace ninc::test
