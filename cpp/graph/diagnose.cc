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
      return specs_[number].name + " of " + plan_.graph->Label(specs_[number].node);
    }
    return {};
  }

  // What a step wrote, named where it is not finite.
  std::string Output(size_t index) const {
    const Step& step = program_.steps[index];
    // A concat's result is whole only after its last copy, and copies bring nothing new.
    if (std::holds_alternative<step::CopyChannels>(step.op)) return {};
    if (const auto* chain = std::get_if<step::MlpConv>(&step.op)) {
      for (size_t i = 0; i < chain->layers.size(); ++i) {
        if (chain->layers[i].kept && !Finite(chain->layers[i].y))
          return OutputOf(ChainLayer(step, i));
      }
      return Finite(chain->y) ? "" : OutputOf(ChainLayer(step, chain->layers.size() - 1));
    }
    for (ValueId v : step.operands().writes) {
      if (v == kNoValue || Finite(v)) continue;
      for (const ParameterValue& gradient : program_.gradients) {
        if (gradient.value == v) return "the gradient of " + specs_[gradient.parameter].name;
      }
      if (step.nodes.empty()) return "the loss";
      // The first of the layers a step computes: those fused behind it pass on what it made.
      const std::string layer = plan_.graph->Label(step.nodes.front());
      return index < program_.forward_steps ? OutputOf(layer) : "a gradient behind " + layer;
    }
    return {};
  }

  // Packed weights have bytes and no shape: nothing to look at, they are copies.
  bool Finite(ValueId v) const {
    const auto* data = reinterpret_cast<const float*>(run_.arena + plan_.layout.offsets[v]);
    return AllFinite(data, program_.values[v].shape.size());
  }

  static std::string OutputOf(const std::string& layer) { return "the output of " + layer; }

  // The label of a chain's convolution number i.
  std::string ChainLayer(const Step& step, size_t i) const {
    for (NodeId node : step.nodes) {
      const auto& op = plan_.graph->node(node).op;
      const bool product =
          std::holds_alternative<op::Conv2d>(op) || std::holds_alternative<op::Linear>(op);
      if (product && i-- == 0) return plan_.graph->Label(node);
    }
    return {};
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
