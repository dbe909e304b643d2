// What operations say of themselves beside their arithmetic, for whoever cannot ask their files.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "ninc/export.h"
#include "ninc/graph.h"

namespace ninc {

// See OpFace and OpRule in ops/rule/op_rule.h.
struct OpFacts {
  std::string_view name, stem;
  bool once;
  size_t least_inputs;
  std::string_view places;  // "kept", "whole" or "moved"
  // "out_channels"; empty where no field says how many channels it gives.
  std::string_view channels_field;
};

NINC_API OpFacts FactsOf(const Op& op);
NINC_API std::vector<OpFacts> FactsOfAll();  // in the order of Op

// The node whose channels are those of `node` one by one, however many there are; -1 where there is
// none. Behind the layer that gives a network's classes stand such nodes alone.
NINC_API NodeId ClassesFrom(const Graph& graph, NodeId node);

}  // namespace ninc
