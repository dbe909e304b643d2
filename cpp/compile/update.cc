// The steps of SGD, of running statistics and of averages, one for each parameter.
#include "compile/update.h"

#include <cstdint>
#include <vector>

namespace ninc {

Update<Step> UpdateSteps(const Graph& graph, const PlanOptions& options, Program* program) {
  const std::vector<ParameterSpec> specs = graph.ParameterSpecs();
  const auto add = [&](ValueKind kind, int32_t parameter) {
    int64_t size = 1;
    for (const int64_t dim : specs[parameter].dims) size *= dim;
    return program->AddValue({.kind = kind,
                              .shape = {1, 1, 1, size},
                              .bytes = static_cast<size_t>(size) * sizeof(float),
                              .index = parameter});
  };
  Update<Step> update;
  for (const ParameterValue& gradient : program->gradients) {
    program->values[gradient.value].keep = true;  // PlanMemory does not see the steps of the update
    const auto slot = static_cast<int32_t>(update.clipped_limit.size());
    const NodeId layer = specs[gradient.parameter].node;
    update.clipped_limit.push_back({step::SumOfSquares{gradient.value, slot}, {layer}});
    update.weights.push_back({step::SgdUpdate{gradient.parameter, gradient.value,
                                              add(ValueKind::kVelocity, gradient.parameter),
                                              add(ValueKind::kParameter, gradient.parameter)},
                              {layer}});
  }
  const auto slots = static_cast<int32_t>(update.clipped_limit.size());
  update.clipped_limit.push_back({step::LimitGradients{slots}, {}});
  update.limit.push_back({step::LimitGradients{0}, {}});
  for (const ParameterValue& statistic : program->statistics) {
    program->values[statistic.value].keep = true;
    update.statistics.push_back(
        {step::CopyUpdated{statistic.value, add(ValueKind::kParameter, statistic.parameter)},
         {specs[statistic.parameter].node}});
  }
  for (int32_t i = 0; i < static_cast<int32_t>(specs.size()) && specs[i].trainable; ++i) {
    const ValueId weight = add(ValueKind::kParameter, i), average = add(ValueKind::kAverage, i);
    if (options.frozen.Contains(i)) {
      update.averages.push_back({step::CopyUpdated{weight, average}, {specs[i].node}});
    } else {
      update.averages.push_back({step::AverageUpdate{weight, average}, {specs[i].node}});
    }
  }
  return update;
}

}  // namespace ninc
