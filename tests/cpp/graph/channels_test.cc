// How many channels a network takes and gives, from its layers alone.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ninc/graph.h"

namespace ninc {
namespace {

// Adds operations one after another, each to the last, from an input of any number of channels.
class Chain {
 public:
  Chain() { last = graph.Add("x", op::Input{.channels = 0}, {}).value(); }
  NodeId Add(Op op, std::vector<NodeId> inputs) {
    const std::string name = "n" + std::to_string(graph.nodes().size());
    last = graph.Add(name, std::move(op), std::move(inputs)).value();
    return last;
  }
  NodeId Add(Op op) { return Add(std::move(op), {last}); }

  Graph graph;
  NodeId last;
};

op::Conv2d Conv(int64_t in, int64_t out) {
  return {.in_channels = in, .out_channels = out, .padding = {}};
}

void ExpectOpen(const Result<int64_t>& channels, const std::string& part) {
  ASSERT_FALSE(channels.ok()) << channels.value();
  EXPECT_EQ(channels.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(channels.status().message().find(part), std::string::npos)
      << channels.status().message();
}

TEST(ChannelsTest, TheInputsOwnNumberComesFirst) {
  Graph graph;
  const NodeId x = graph.Add("x", op::Input{.channels = 5}, {}).value();
  ASSERT_TRUE(graph.Add("relu", op::Relu{}, {x}).ok());
  EXPECT_EQ(*graph.InputChannels(), 5);
  EXPECT_EQ(*graph.OutputChannels(), 5);
}

TEST(ChannelsTest, LayersThatReadTheInputSayIt) {
  const std::pair<Op, int64_t> layers[] = {
      {Conv(7, 4), 7}, {op::BatchNorm2d{.channels = 6}, 6}, {op::Linear{.in_features = 9}, 9}};
  for (const auto& [layer, channels] : layers) {
    Chain chain;
    chain.Add(layer);
    EXPECT_EQ(*chain.graph.InputChannels(), channels) << OpName(layer);
  }
}

TEST(ChannelsTest, WhatKeepsChannelsIsPassed) {
  Chain chain;
  for (const Op& op : {Op(op::Relu{}), Op(op::Relu6{}), Op(op::MaxPool2d{}), Op(op::AvgPool2d{}),
                       Op(op::Dropout{}), Op(op::Softmax{})}) {
    chain.Add(op);
  }
  chain.Add(Conv(3, 8));
  EXPECT_EQ(*chain.graph.InputChannels(), 3);
  EXPECT_EQ(*chain.graph.OutputChannels(), 8);
}

TEST(ChannelsTest, AFlattenedPixelKeepsItsChannels) {
  for (const Op& pool : {Op(op::GlobalAvgPool2d{}), Op(op::GlobalMaxPool2d{})}) {
    Chain chain;
    chain.Add(pool);
    chain.Add(op::Flatten{});
    EXPECT_EQ(chain.graph.OutputChannels().status().code(), StatusCode::kInvalidArgument);
    chain.Add(op::Linear{.in_features = 4, .out_features = 2});
    EXPECT_EQ(*chain.graph.InputChannels(), 4) << OpName(pool);
    EXPECT_EQ(*chain.graph.OutputChannels(), 2) << OpName(pool);
  }
}

// As many classifiers end: a convolution in the place of a linear layer.
TEST(ChannelsTest, AConvolutionOfAPixelGivesAPixel) {
  Chain chain;
  chain.Add(Conv(3, 8));
  chain.Add(op::GlobalAvgPool2d{});
  chain.Add(Conv(8, 5));
  chain.Add(op::Flatten{});
  EXPECT_EQ(*chain.graph.OutputChannels(), 5);
}

TEST(ChannelsTest, AFlattenedMapLeavesThemOpen) {
  Chain chain;
  chain.Add(op::Flatten{});
  ExpectOpen(chain.graph.OutputChannels(), "depend on the input's height and width");
  chain.Add(op::Linear{.in_features = 3072, .out_features = 10});
  ExpectOpen(chain.graph.InputChannels(), "n2 (Linear) takes a flattened map, channels × height");
  EXPECT_EQ(*chain.graph.OutputChannels(), 10);
}

TEST(ChannelsTest, PoolsAloneTakeAnyNumber) {
  Chain chain;
  chain.Add(op::MaxPool2d{});
  chain.Add(op::GlobalAvgPool2d{});
  ExpectOpen(chain.graph.InputChannels(), "no layer that reads the input needs a certain one");
  ExpectOpen(chain.graph.OutputChannels(), "no layer that reads the input");
}

TEST(ChannelsTest, SumsAndConcatenationsAreSolved) {
  Chain doubled;  // 2 C = 6
  doubled.Add(op::Concat{}, {0, 0});
  EXPECT_EQ(doubled.graph.InputChannels().status().code(), StatusCode::kInvalidArgument);
  doubled.Add(Conv(6, 5));
  EXPECT_EQ(*doubled.graph.InputChannels(), 3);

  Chain residual;  // C of the sum is that of its other operand
  const NodeId conv = residual.Add(Conv(8, 8));
  residual.Add(op::Add{}, {conv, 0});
  EXPECT_EQ(*residual.graph.InputChannels(), 8);
  EXPECT_EQ(*residual.graph.OutputChannels(), 8);
}

TEST(ChannelsTest, ASumTellsWhatItsOperandsMustHave) {
  Chain chain;  // 2 C = 6: no double is one channel, which would do as well
  const NodeId doubled = chain.Add(op::Concat{}, {0, 0});
  const NodeId scales = chain.Add(op::Constant{.channels = 6}, {});
  chain.Add(op::Mul{}, {doubled, scales});
  EXPECT_EQ(*chain.graph.InputChannels(), 3);
  EXPECT_EQ(*chain.graph.OutputChannels(), 6);
}

TEST(ChannelsTest, ASumLeavesOpenWhetherAnOperandIsOfOneChannel) {
  Chain chain;
  chain.Add(op::Flatten{});
  const NodeId features = chain.Add(op::Linear{.in_features = 48, .out_features = 4});
  const NodeId means = chain.Add(op::GlobalAvgPool2d{}, {0});  // of 4 channels or of 1
  const NodeId sum = chain.Add(op::Add{}, {features, means});
  ExpectOpen(chain.graph.InputChannels(), "n2 (Linear) takes a flattened map");
  EXPECT_EQ(*chain.graph.OutputChannels(), 4);

  chain.Add(Conv(1, 4), {0});  // told by another layer
  chain.Add(op::Add{}, {sum, chain.last});
  EXPECT_EQ(*chain.graph.InputChannels(), 1);
  EXPECT_EQ(*chain.graph.OutputChannels(), 4);

  Chain both;  // C and C - 1 go together where the one is 2 or the other 1
  const NodeId less = both.Add(op::Pad{.channels = {-1, 0}});
  both.Add(op::Add{}, {0, less});
  ExpectOpen(both.graph.OutputChannels(), "n2 (Add)");
  EXPECT_EQ(both.graph.InputChannels().status().code(), StatusCode::kInvalidArgument);
}

TEST(ChannelsTest, OneChannelStandsForAny) {
  Chain chain;
  const NodeId map = chain.Add(Conv(6, 1));
  chain.Add(op::Mul{}, {0, map});
  EXPECT_EQ(*chain.graph.InputChannels(), 6);
  EXPECT_EQ(*chain.graph.OutputChannels(), 6);
  const NodeId scales = chain.Add(op::Constant{.channels = 4}, {});
  chain.Add(op::Add{}, {map, scales});
  EXPECT_EQ(*chain.graph.OutputChannels(), 4);
}

TEST(ChannelsTest, SlicesAndPadsCountChannels) {
  Chain chain;
  chain.Add(op::Pad{.channels = {1, 2}});
  EXPECT_EQ(chain.graph.OutputChannels().status().code(), StatusCode::kInvalidArgument);
  chain.Add(Conv(6, 10));  // of 3, and 3 of the margin
  EXPECT_EQ(*chain.graph.InputChannels(), 3);
  chain.Add(op::Slice{.channels = {1, -2, 3}});  // 1, 4, 7
  EXPECT_EQ(*chain.graph.OutputChannels(), 3);
  chain.Add(op::PRelu{.channels = 3});
  chain.Add(op::ChannelShuffle{.groups = 3});
  chain.Add(op::Pad{.channels = {-1, 0}});
  EXPECT_EQ(*chain.graph.OutputChannels(), 2);
}

TEST(ChannelsTest, WhatNoInputFitsIsAModelsFault) {
  Chain chain;
  chain.Add(op::Concat{}, {0, 0});
  chain.Add(Conv(5, 4));  // no half channels
  EXPECT_EQ(chain.graph.InputChannels().status().code(), StatusCode::kInvalidModel);
  EXPECT_EQ(chain.graph.InputChannels().status().message(),
            "n2 (Conv2d) fits no number of input channels");
  EXPECT_EQ(*chain.graph.OutputChannels(), 4);
}

TEST(ChannelsTest, LayersThatCannotFollowOneAnotherAreTold) {
  const auto problem = [](const Chain& chain) { return chain.graph.CheckChannels().message(); };
  Chain row;
  row.Add(Conv(3, 4));
  row.Add(op::MaxPool2d{});
  EXPECT_TRUE(row.graph.CheckChannels().ok());
  row.Add(op::BatchNorm2d{.channels = 8});
  EXPECT_EQ(problem(row), "n3 (BatchNorm2d): expected 8 input channels, got 4 from n2 (MaxPool2d)");
  EXPECT_EQ(row.graph.CheckChannels().code(), StatusCode::kInvalidModel);
  EXPECT_EQ(*row.graph.InputChannels(), 3);  // what is known is known

  Chain twice;
  twice.Add(Conv(3, 4));
  twice.Add(op::Linear{.in_features = 5}, {0});
  EXPECT_EQ(problem(twice),
            "n2 (Linear): expected 5 input features, got 3 from the network's input, of which n1 "
            "(Conv2d) takes as many");

  Chain sum;
  const NodeId four = sum.Add(Conv(3, 4)), six = sum.Add(Conv(3, 6), {0});
  sum.Add(op::Add{}, {four, six});
  EXPECT_EQ(problem(sum),
            "n3 (Add): expected two inputs of as many channels, or one of 1, got 4 channels from "
            "n1 (Conv2d) and 6 from n2 (Conv2d)");

  Chain groups;
  groups.Add(Conv(3, 4));
  groups.Add(op::ChannelShuffle{.groups = 3});
  EXPECT_EQ(problem(groups),
            "n2 (ChannelShuffle): expected a multiple of 3 input channels, got 4 from n1 (Conv2d)");

  Chain slopes;
  slopes.Add(Conv(3, 4));
  slopes.Add(op::PRelu{.channels = 1});
  EXPECT_TRUE(slopes.graph.CheckChannels().ok());
  slopes.Add(op::PRelu{.channels = 5});
  EXPECT_EQ(problem(slopes), "n3 (PRelu): expected 5 input channels, got 4 from n2 (PRelu)");

  Chain halves;
  halves.Add(op::Concat{}, {0, 0});
  halves.Add(Conv(5, 4));
  EXPECT_EQ(problem(halves), "n2 (Conv2d) fits no number of input channels");
}

TEST(ChannelsTest, EachNodesNumber) {
  using Numbers = std::vector<std::optional<int64_t>>;
  Chain chain;
  chain.Add(Conv(3, 4));
  const NodeId flat = chain.Add(op::Flatten{});
  chain.Add(op::Linear{.in_features = 64, .out_features = 2});
  EXPECT_EQ(chain.graph.NodeChannels(), (Numbers{3, 4, std::nullopt, 2}));
  ASSERT_TRUE(chain.graph.SetOutput(flat).ok());
  EXPECT_EQ(chain.graph.NodeChannels(), (Numbers{3, 4, std::nullopt, std::nullopt}));
  EXPECT_TRUE(Graph().NodeChannels().empty());
}

TEST(ChannelsTest, LayersThatTheOutputDoesNotNeedSayNothing) {
  Chain chain;
  chain.Add(Conv(7, 4));
  const NodeId needed = chain.Add(Conv(3, 2), {0});
  chain.Add(Conv(2, 9));
  ASSERT_TRUE(chain.graph.SetOutput(needed).ok());
  EXPECT_EQ(*chain.graph.InputChannels(), 3);
  EXPECT_EQ(*chain.graph.OutputChannels(), 2);
}

TEST(ChannelsTest, ChannelsBeyondAllNumbersAreUnknown) {
  Chain chain;
  for (int i = 0; i < 100; ++i) chain.Add(op::Concat{}, {chain.last, chain.last});
  ExpectOpen(chain.graph.OutputChannels(), "n100 (Concat)");
  chain.Add(Conv(3, 2));
  EXPECT_FALSE(chain.graph.InputChannels().ok());
  EXPECT_FALSE(Graph().InputChannels().ok());
  EXPECT_FALSE(Graph().OutputChannels().ok());
}

}  // namespace
}  // namespace ninc
