#include "graph/facts.h"

#include <utility>

#include "ops/ops.h"

namespace ninc {
namespace {

std::string_view NameOf(Places places) {
  constexpr std::string_view kNames[] = {"kept", "whole", "moved"};
  return kNames[static_cast<size_t>(places)];
}

template <class Rule>
OpFacts FactsOfRule() {
  constexpr OpFace kFace = Rule::kFace;
  static_assert(!kFace.name.empty() && !kFace.stem.empty());
  OpFacts facts{.name = kFace.name,
                .stem = kFace.stem,
                .once = kFace.once,
                .least_inputs = kFace.least_inputs,
                .places = NameOf(Rule::kPlaces),
                .channels_field = {}};
  if constexpr (requires { Rule::kChannelsField; }) facts.channels_field = Rule::kChannelsField;
  return facts;
}

// A constant of one channel, which stands for as many as it meets.
bool IsOneChannel(const Op& op) {
  const auto* constant = std::get_if<op::Constant>(&op);
  return constant != nullptr && constant->channels == 1;
}

}  // namespace

OpFacts FactsOf(const Op& op) {
  return VisitOp(op, [](auto rule, const auto&) { return FactsOfRule<decltype(rule)>(); });
}

std::vector<OpFacts> FactsOfAll() {
  return []<class... Ops>(const std::variant<Ops...>*) {
    return std::vector<OpFacts>{FactsOfRule<OpRule<Ops>>()...};
  }(static_cast<const Op*>(nullptr));
}

NodeId ClassesFrom(const Graph& graph, NodeId node) {
  const Node& asked = graph.node(node);
  if (!VisitOp(asked.op, [](auto rule, const auto& op) { return rule.ClassesPass(op); })) return -1;
  std::vector<NodeId> from;
  for (NodeId input : asked.inputs) {
    if (!IsOneChannel(graph.node(input).op)) from.push_back(input);
  }
  return from.size() == 1 ? from[0] : -1;
}

}  // namespace ninc
