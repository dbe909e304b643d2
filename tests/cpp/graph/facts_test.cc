// What operations say of themselves, and which nodes pass classes on.
#include "graph/facts.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <variant>

namespace ninc {
namespace {

TEST(Facts, OfEachOperation) {
  const std::vector<OpFacts> all = FactsOfAll();
  ASSERT_EQ(all.size(), std::variant_size_v<Op>);
  std::set<std::string_view> names;
  for (const OpFacts& facts : all) {
    EXPECT_TRUE(names.insert(facts.name).second) << facts.name;
    EXPECT_FALSE(facts.stem.empty()) << facts.name;
  }
  const OpFacts conv = FactsOf(op::Conv2d{}), norm = FactsOf(op::BatchNorm2d{});
  EXPECT_EQ(conv.stem, "conv");
  EXPECT_EQ(conv.places, "moved");
  EXPECT_EQ(conv.channels_field, "out_channels");
  EXPECT_EQ(conv.least_inputs, 1u);
  EXPECT_EQ(norm.places, "kept");
  EXPECT_EQ(norm.channels_field, "channels");
  EXPECT_EQ(FactsOf(op::GlobalAvgPool2d{}).places, "whole");
  EXPECT_TRUE(FactsOf(op::GlobalAvgPool2d{}).once);
  EXPECT_FALSE(FactsOf(op::GlobalMaxPool2d{}).once);
  EXPECT_EQ(FactsOf(op::Relu{}).channels_field, "");
}

TEST(Facts, WhatPassesClassesOn) {
  Graph graph;
  const NodeId x = graph.Add("x", op::Input{.channels = 4}, {}).value();
  const auto from = [&](Op op, std::vector<NodeId> inputs) {
    const std::string name = "n" + std::to_string(graph.nodes().size());
    return ClassesFrom(graph, graph.Add(name, std::move(op), std::move(inputs)).value());
  };
  for (const Op& op :
       {Op(op::Relu{}), Op(op::Gelu{}), Op(op::Dropout{}), Op(op::Softmax{}), Op(op::PRelu{}),
        Op(op::BatchNorm2d{.channels = 4}), Op(op::LocalResponseNorm{}), Op(op::MaxPool2d{}),
        Op(op::AvgPool2d{}), Op(op::GlobalAvgPool2d{}), Op(op::GlobalMaxPool2d{}),
        Op(op::Flatten{}), Op(op::Slice{.height = {1, -1}}), Op(op::Pad{.width = {2, 1}})}) {
    EXPECT_EQ(from(op, {x}), x) << OpName(op);
  }
  for (const Op& op :
       {Op(op::Conv2d{.in_channels = 4, .padding = {}}), Op(op::Linear{.in_features = 4}),
        Op(op::ChannelShuffle{.groups = 2}), Op(op::Slice{.channels = {0, 3}}),
        Op(op::Slice{.channels = {0, op::Range::kToTheEnd, 2}}), Op(op::Pad{.channels = {0, 1}})}) {
    EXPECT_EQ(from(op, {x}), -1) << OpName(op);
  }
  EXPECT_EQ(from(op::Concat{}, {x, x}), -1);
  EXPECT_EQ(ClassesFrom(graph, x), -1);

  const NodeId one = graph.Add("one", op::Constant{}, {}).value();
  const NodeId map = graph.Add("map", op::Constant{.height = 3, .width = 3}, {}).value();
  const NodeId each = graph.Add("each", op::Constant{.channels = 4}, {}).value();
  EXPECT_EQ(ClassesFrom(graph, one), -1);
  for (const Op& op : {Op(op::Add{}), Op(op::Sub{}), Op(op::Mul{}), Op(op::Div{})}) {
    EXPECT_EQ(from(op, {x, one}), x) << OpName(op);
    EXPECT_EQ(from(op, {map, x}), x) << OpName(op);
    EXPECT_EQ(from(op, {x, each}), -1) << OpName(op);
    EXPECT_EQ(from(op, {x, x}), -1) << OpName(op);
    EXPECT_EQ(from(op, {one, map}), -1) << OpName(op);
  }
}

}  // namespace
}  // namespace ninc
