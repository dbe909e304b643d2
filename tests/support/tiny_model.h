// A network small enough to spell its file out byte by byte.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "ninc/model.h"
#include "support/temporary_folder.h"

namespace ninc {

// x (3 channels) -> conv1, 1×1 to 4 channels -> ReLU -> global average.
inline std::shared_ptr<Model> TinyModel() {
  Graph graph;
  const NodeId x = graph.Add("x", op::Input{.channels = 3}, {}).value();
  const op::Conv2d conv1{.in_channels = 3, .out_channels = 4, .padding = {}};
  const NodeId conv = graph.Add("conv1", conv1, {x}).value();
  const NodeId relu = graph.Add("relu1", op::Relu{}, {conv}).value();
  EXPECT_TRUE(graph.Add("gap", op::GlobalAvgPool2d{}, {relu}).ok());
  std::shared_ptr<Model> model = Model::Create(std::move(graph)).value();
  std::vector<float> weight(12);
  std::iota(weight.begin(), weight.end(), 0.5f);
  EXPECT_TRUE(
      model->SetParameters({{"conv1.weight", weight}, {"conv1.bias", {0.25f, -1000, 2, -3}}}).ok());
  model->SetMetadata("classes", R"(["cat", "dog", "ship", "Käse"])");
  return model;
}

// The bytes of its file.
inline std::string TinyModelFile() {
  const TemporaryFolder folder;
  EXPECT_TRUE(Save(*TinyModel(), folder.File("tiny")).ok());
  return Slurp(folder.File("tiny"));
}

}  // namespace ninc
