// Goes through a graph's nodes and finds how many channels their values have, from what its layers
// say, and which layer takes others than it is given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ninc/export.h"
#include "ninc/graph.h"
#include "ninc/status.h"
#include "ops/rule/channels.h"

namespace ninc {

// Visits nodes, each after its inputs, and solves the first layer that says what it takes for C,
// the number of channels that the network takes.
class NINC_API ChannelWalk {
 public:
  explicit ChannelWalk(const Graph& graph) : graph_(graph) {}

  // Goes on to a node. InvalidModel where it takes other channels than it is given:
  // "conv2 (Conv2d): expected 96 input channels, got 3 from conv1 (Conv2d)". The walk can go on.
  Status Visit(NodeId id);

  // The channels of a visited node, if they are one number.
  std::optional<int64_t> Of(NodeId id) const { return Number(values_[id]); }
  // C, or why it is open.
  Result<int64_t> Input() const;
  // What the output of the network has, which was visited, or why that is open.
  Result<int64_t> Output() const;

  // What an operation's Gives asks for, of the node that is visited.
  size_t inputs() const { return inputs_.size(); }
  const Channels& x(size_t input) const { return inputs_[input]; }
  // One number where C, if it matters, has been told by now.
  std::optional<int64_t> Number(const Channels& channels) const;
  // Of two inputs of as many channels each, or of which one has a single channel, which stands for
  // the other's.
  Channels Broadcast();

 private:
  // Notes how many channels the node takes of its first input.
  void Take(const Taken& taken);
  // times · C + plus = wanted
  void Solve(int64_t times, int64_t plus, int64_t wanted);
  bool MayBeOne(const Channels& channels) const;
  // Where the channels of an input come from: "conv1 (Conv2d)".
  std::string Giver(size_t input) const;
  void Fail(const std::string& problem);  // of the node, unless it had one

  const Graph& graph_;
  std::vector<Channels> values_;  // by node
  std::optional<int64_t> input_;  // C, once a layer has told it
  std::string told_by_;           // that layer
  std::string problem_;           // of a layer that no C suits
  std::string flattened_;         // a layer that would tell C, if heights and widths were known

  NodeId node_ = 0;  // that is visited
  std::vector<Channels> inputs_;
  Status fits_;
};

}  // namespace ninc
