// What the core knows of an update rule. A file beside this one says all of it: the steps, each
// with a Compile on either backend, and RuleSteps, without which the rule in the variant UpdateRule
// does not compile.
#pragma once

#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "ninc/backend.h"
#include "ninc/optimizer.h"
#include "ninc/status.h"
#include "ops/rule/op_rule.h"

namespace ninc {

// A parameter that an update changes, and what the rule keeps of it, in the order of its kState.
struct UpdatedParameter {
  int32_t parameter;  // whose lr and weight_decay hold
  ValueId gradient, weight;
  std::vector<ValueId> state;
};

// For each rule of UpdateRule:
//     static constexpr std::string_view kName;
//     static constexpr StateArray kState[];
//     static Status Check(const Rule&);      what a step refuses
//     // Calls emit(step, parameter), or emit(step, nullptr) for a step of several parameters.
//     template <class Emit> static void Update(std::span<const UpdatedParameter>, const Emit&);
template <class Rule>
struct RuleSteps;

// A rule's settings travel in the step's state, from which its kernels read them: a step that a
// device has recorded is replayed with other settings.
inline void PutRule(const UpdateRule& rule, StepState* state) {
  std::visit(
      [&]<class Rule>(const Rule& settings) {
        static_assert(std::is_trivially_copyable_v<Rule> && sizeof(Rule) <= sizeof(state->rule));
        std::memcpy(state->rule, &settings, sizeof(settings));
      },
      rule);
}
template <class Rule>
Rule RuleOf(const StepState& state) {
  Rule rule;
  std::memcpy(&rule, state.rule, sizeof(rule));
  return rule;
}

}  // namespace ninc
