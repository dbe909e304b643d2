#include "train/diagnose.h"

#include <algorithm>
#include <cmath>
#include <variant>
#include <vector>

namespace ninc {
namespace {

bool AllFinite(const float* data, int64_t count) {
  return std::all_of(data, data + count, [](float value) { return std::isfinite(value); });
}

std::string OutputOf(const std::string& layer) { return "the output of " + layer; }

class Diagnosis {
 public:
  Diagnosis(const Plan::Impl& plan, Backend& stream, const RunArguments& run)
      : plan_(plan),
        program_(plan.program),
        stream_(stream),
        run_(run),
        specs_(plan.graph->ParameterSpecs()) {}

  Result<std::string> Run() const {
    for (size_t i = 0; i < program_.steps.size(); ++i) {
      NINC_ASSIGN_OR_RETURN(std::string found, Operand(i));
      if (!found.empty()) return found;
      NINC_RETURN_IF_ERROR(
          Execute({&plan_.kernels[i], 1}, {program_, plan_.layout, stream_, run_}));
      if (i == program_.forward_steps) {
        StepState state;
        NINC_RETURN_IF_ERROR(stream_.Read(&state, run_.state, sizeof(state)));
        if (!std::isfinite(state.loss)) return std::string("the loss");
      }
      NINC_ASSIGN_OR_RETURN(found, Output(i));
      if (!found.empty()) return found;
    }
    return std::string();
  }

 private:
  // The first weight a step reads that is not finite. Everything else it reads has been checked.
  Result<std::string> Operand(size_t index) const {
    for (ValueId v : program_.steps[index].operands().reads) {
      if (v == kNoValue || program_.values[v].kind != ValueKind::kParameter) continue;
      const int32_t number = program_.values[v].index;
      NINC_ASSIGN_OR_RETURN(const bool finite, Finite(run_.parameters->data(number),
                                                      run_.parameters->host(number).size()));
      if (finite) continue;
      return specs_[number].name + " of " + plan_.graph->Label(specs_[number].node);
    }
    return std::string();
  }

  // What a step wrote, named where it is not finite.
  Result<std::string> Output(size_t index) const {
    const Step& step = program_.steps[index];
    // A concat's result is whole only after its last copy, and copies bring nothing new.
    if (std::holds_alternative<step::CopyChannels>(step.op)) return std::string();
    if (const auto* chain = std::get_if<step::MlpConv>(&step.op)) {
      for (size_t i = 0; i < chain->layers.size(); ++i) {
        if (!chain->layers[i].kept) continue;
        NINC_ASSIGN_OR_RETURN(const bool finite, Finite(chain->layers[i].y));
        if (!finite) return OutputOf(ChainLayer(step, i));
      }
      NINC_ASSIGN_OR_RETURN(const bool finite, Finite(chain->y));
      return finite ? std::string() : OutputOf(ChainLayer(step, chain->layers.size() - 1));
    }
    for (ValueId v : step.operands().writes) {
      if (v == kNoValue) continue;
      NINC_ASSIGN_OR_RETURN(const bool finite, Finite(v));
      if (finite) continue;
      for (const ParameterValue& gradient : program_.gradients) {
        if (gradient.value == v) return "the gradient of " + specs_[gradient.parameter].name;
      }
      if (step.nodes.empty()) return std::string("the loss");
      // The first of the layers a step computes: those fused after it pass on what it made.
      NodeId node = step.nodes.front();
      const auto* conv = std::get_if<step::NormConv2d>(&step.op);
      if (conv != nullptr && v != conv->y) node = BatchNormOf(step);
      const std::string layer = plan_.graph->Label(node);
      return index < program_.forward_steps ? OutputOf(layer) : "a gradient behind " + layer;
    }
    return std::string();
  }

  // Packed weights have bytes and no shape: nothing to look at, they are copies.
  Result<bool> Finite(ValueId v) const {
    const auto* data = reinterpret_cast<const float*>(run_.arena + plan_.layout.offsets[v]);
    return Finite(data, program_.values[v].shape.size());
  }
  Result<bool> Finite(const float* data, int64_t count) const {
    if (stream_.SharesMemory()) return AllFinite(data, count);
    std::vector<float> values(static_cast<size_t>(count));
    NINC_RETURN_IF_ERROR(stream_.Read(values.data(), data, values.size() * sizeof(float)));
    return AllFinite(values.data(), count);
  }

  // The one whose statistics a convolution's step takes.
  NodeId BatchNormOf(const Step& step) const {
    return *std::find_if(step.nodes.begin(), step.nodes.end(), [&](NodeId node) {
      return std::holds_alternative<op::BatchNorm2d>(plan_.graph->node(node).op);
    });
  }

  // The label of a chain's convolution number i.
  std::string ChainLayer(const Step& step, size_t i) const {
    for (NodeId node : step.nodes) {
      if (IsConvolution(plan_.graph->node(node).op) && i-- == 0) return plan_.graph->Label(node);
    }
    return {};
  }

  const Plan::Impl& plan_;
  const Program& program_;
  Backend& stream_;
  const RunArguments& run_;
  const std::vector<ParameterSpec> specs_;
};

}  // namespace

Result<std::string> FindNonFinite(const Plan::Impl& plan, Backend& stream,
                                  const RunArguments& run) {
  return Diagnosis(plan, stream, run).Run();
}

}  // namespace ninc
