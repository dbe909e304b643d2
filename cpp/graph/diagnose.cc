#include "graph/diagnose.h"

#include <algorithm>
#include <cmath>
#include <variant>
#include <vector>

namespace ninc {
namespace {

bool AllFinite(const float* data, int64_t count) {
  return std::all_of(data, data + count, [](float value) { return std::isfinite(value); });
}

class Diagnosis {
 public:
  Diagnosis(const Plan::Impl& plan, const RunArguments& run)
      : plan_(plan), program_(plan.program), run_(run), specs_(plan.graph->ParameterSpecs()) {}

  Result<std::string> Run() const {
    for (size_t i = 0; i < program_.steps.size(); ++i) {
      if (std::string found = Operand(i); !found.empty()) return found;
      NINC_RETURN_IF_ERROR(ExecuteSteps(program_, plan_.layout, *plan_.backend, run_, i, i + 1));
      if (i == program_.forward_steps && !std::isfinite(*run_.loss)) return std::string("the loss");
      if (std::string found = Output(i); !found.empty()) return found;
    }
    return std::string();
  }

 private:
  // The first weight a step reads that is not finite. Everything else it reads has been checked.
  std::string Operand(size_t index) const {
    for (ValueId v : program_.steps[index].operands().reads) {
      if (v == kNoValue || program_.values[v].kind != ValueKind::kParameter) continue;
      const int32_t number = program_.values[v].index;
      const std::vector<float>& data = (*run_.parameters)[number].data;
      if (AllFinite(data.data(), static_cast<int64_t>(data.size()))) continue;
      return specs_[number].name + " of " + Layer(index);
    }
    return {};
  }

  // What a step wrote, named where it is not finite.
  std::string Output(size_t index) const {
    const Step& step = program_.steps[index];
    // A concat's result is whole only after its last copy, and copies bring nothing new.
    if (std::holds_alternative<step::CopyChannels>(step.op)) return {};
    for (ValueId v : step.operands().writes) {
      if (v == kNoValue) continue;
      // Packed weights have bytes and no shape; they are copies, too.
      const int64_t count = program_.values[v].shape.size();
      const auto* data = reinterpret_cast<const float*>(run_.arena + plan_.layout.offsets[v]);
      if (AllFinite(data, count)) continue;
      for (const ParameterValue& gradient : program_.gradients) {
        if (gradient.value == v) return "the gradient of " + specs_[gradient.parameter].name;
      }
      const char* what = index < program_.forward_steps ? "the output of " : "a gradient behind ";
      return what + Layer(index);
    }
    return {};
  }

  // The first of the layers a step computes: the ones fused behind it only pass on what it made.
  std::string Layer(size_t index) const {
    const std::vector<NodeId>& nodes = program_.steps[index].nodes;
    return nodes.empty() ? "the loss" : plan_.graph->Label(nodes.front());
  }

  const Plan::Impl& plan_;
  const Program& program_;
  const RunArguments& run_;
  const std::vector<ParameterSpec> specs_;
};

}  // namespace

Result<std::string> FindNonFinite(const Plan::Impl& plan, const RunArguments& run) {
  return Diagnosis(plan, run).Run();
}

}  // namespace ninc
