// The steps of an update rule, of running statistics and of averages, one for each parameter.
#include "compile/update.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

namespace ninc {
namespace {

// Calls body(RuleSteps<Rule>()) for the rule at this place of UpdateRule.
template <class Body, size_t... kPlaces>
void WithRule(size_t place, const Body& body, std::index_sequence<kPlaces...>) {
  ((place == kPlaces ? body(RuleSteps<std::variant_alternative_t<kPlaces, UpdateRule>>()) : void()),
   ...);
}
template <class Body>
void WithRule(size_t place, const Body& body) {
  WithRule(place, body, std::make_index_sequence<std::variant_size_v<UpdateRule>>());
}

template <size_t... kPlaces>
constexpr std::array<RuleFacts, sizeof...(kPlaces)> FactsOf(std::index_sequence<kPlaces...>) {
  return {{{RuleSteps<std::variant_alternative_t<kPlaces, UpdateRule>>::kName,
            RuleSteps<std::variant_alternative_t<kPlaces, UpdateRule>>::kState}...}};
}
constexpr auto kRuleFacts = FactsOf(std::make_index_sequence<std::variant_size_v<UpdateRule>>());

// Adds what lies outside the program's own memory as values of it.
class UpdateValues {
 public:
  UpdateValues(const std::vector<ParameterSpec>& specs, Program* program)
      : specs_(specs), trainable_(CountTrainable(specs)), program_(*program) {}

  ValueId Parameter(int32_t parameter) {
    return Add(ValueKind::kParameter, Size(parameter), parameter);
  }
  ValueId Average(int32_t parameter) {
    return Add(ValueKind::kAverage, Size(parameter), parameter);
  }
  ValueId State(const StateArray& array, size_t number, int32_t parameter) {
    const size_t index = OptimizerStateIndex(number, static_cast<size_t>(parameter), trainable_);
    return Add(ValueKind::kOptimizerState, array.one_number ? 1 : Size(parameter),
               static_cast<int32_t>(index));
  }

 private:
  int64_t Size(int32_t parameter) const {
    int64_t size = 1;
    for (const int64_t dim : specs_[parameter].dims) size *= dim;
    return size;
  }
  ValueId Add(ValueKind kind, int64_t size, int32_t index) {
    return program_.AddValue({.kind = kind,
                              .shape = {1, 1, 1, size},
                              .bytes = static_cast<size_t>(size) * sizeof(float),
                              .index = index});
  }

  const std::vector<ParameterSpec>& specs_;
  const size_t trainable_;
  Program& program_;
};

// What the rule does with the program's gradients.
std::vector<Step> WeightSteps(size_t rule, const std::vector<ParameterSpec>& specs,
                              const Program& program, UpdateValues* values) {
  std::vector<Step> steps;
  WithRule(rule, [&](auto of_rule) {
    std::vector<UpdatedParameter> parameters;
    for (const ParameterValue& gradient : program.gradients) {
      std::vector<ValueId> state;
      for (const StateArray& array : of_rule.kState) {
        state.push_back(values->State(array, state.size(), gradient.parameter));
      }
      parameters.push_back({gradient.parameter, gradient.value,
                            values->Parameter(gradient.parameter), std::move(state)});
    }
    of_rule.Update(parameters, [&](StepOp step, const UpdatedParameter* of) {
      std::vector<NodeId> layers;
      if (of != nullptr) layers.push_back(specs[of->parameter].node);
      steps.push_back({std::move(step), std::move(layers)});
    });
  });
  return steps;
}

// What adds up the shards of a batch; see steps/shards.h.
void AppendShardSteps(const std::vector<ParameterSpec>& specs, Program* program,
                      Update<Step>* update) {
  size_t offset = 0;
  const auto part = [&](const ParameterValue& of, bool statistic) {
    const NodeId layer = specs[of.parameter].node;
    update->add_shard.push_back({step::AddToShardSum{of.value, offset, statistic}, {layer}});
    update->take_sum.push_back({step::TakeFromShardSum{offset, of.value}, {layer}});
    offset += static_cast<size_t>(program->values[of.value].shape.size());
  };
  for (const ParameterValue& gradient : program->gradients) part(gradient, false);
  for (const ParameterValue& statistic : program->statistics) part(statistic, true);
  update->add_shard.push_back({step::AddResultToShardSum{offset}, {}});
  update->take_sum.push_back({step::TakeResultFromShardSum{offset}, {}});
  program->shard_sum_size = offset + 2;
  update->add_sums.push_back({step::AddShardSums{program->shard_sum_size}, {}});
}

}  // namespace

std::span<const RuleFacts> UpdateRules() { return kRuleFacts; }

size_t CountTrainable(std::span<const ParameterSpec> specs) {
  return static_cast<size_t>(std::count_if(
      specs.begin(), specs.end(), [](const ParameterSpec& spec) { return spec.trainable; }));
}

std::vector<Tensor> EmptyOptimizerState(size_t rule, std::span<const ParameterSpec> specs) {
  std::vector<Tensor> tensors;
  WithRule(rule, [&](auto of_rule) {
    for (const StateArray& array : of_rule.kState) {
      for (const ParameterSpec& spec : specs.first(CountTrainable(specs))) {
        Tensor zeros{array.one_number ? std::vector<int64_t>{1} : spec.dims, {}};
        zeros.data.resize(static_cast<size_t>(zeros.size()));
        tensors.push_back(std::move(zeros));
      }
    }
  });
  return tensors;
}

Status CheckRule(const UpdateRule& rule) {
  return std::visit(
      []<class Rule>(const Rule& settings) { return RuleSteps<Rule>::Check(settings); }, rule);
}

Update<Step> UpdateSteps(const Graph& graph, const PlanOptions& options, Program* program) {
  const std::vector<ParameterSpec> specs = graph.ParameterSpecs();
  UpdateValues values(specs, program);
  Update<Step> update;
  for (const ParameterValue& gradient : program->gradients) {
    program->values[gradient.value].keep = true;  // PlanMemory does not see the steps of the update
    const auto slot = static_cast<int32_t>(update.clipped_limit.size());
    update.clipped_limit.push_back(
        {step::SumOfSquares{gradient.value, slot}, {specs[gradient.parameter].node}});
  }
  const auto slots = static_cast<int32_t>(update.clipped_limit.size());
  update.clipped_limit.push_back({step::LimitGradients{slots}, {}});
  update.limit.push_back({step::LimitGradients{0}, {}});
  update.weights = WeightSteps(options.update_rule, specs, *program, &values);
  for (const ParameterValue& statistic : program->statistics) {
    program->values[statistic.value].keep = true;
    update.statistics.push_back(
        {step::CopyUpdated{statistic.value, values.Parameter(statistic.parameter)},
         {specs[statistic.parameter].node}});
  }
  for (int32_t i = 0; i < static_cast<int32_t>(specs.size()) && specs[i].trainable; ++i) {
    const ValueId weight = values.Parameter(i), average = values.Average(i);
    if (options.frozen.Contains(i)) {
      update.averages.push_back({step::CopyUpdated{weight, average}, {specs[i].node}});
    } else {
      update.averages.push_back({step::AverageUpdate{weight, average}, {specs[i].node}});
    }
  }
  if (options.shards) AppendShardSteps(specs, program, &update);
  return update;
}

}  // namespace ninc
