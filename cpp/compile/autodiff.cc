// Reverse mode: the forward steps from the last to the first, each turning its result's gradient
// into its operands'. When a step's turn comes, everyone who reads its result has had theirs, so
// the gradient is complete. What a step emits is told by its Gradient (cpp/ops/).
#include "compile/autodiff.h"

#include <type_traits>
#include <utility>
#include <vector>

namespace ninc {
namespace {

// What the steps' Gradients are given.
class Differentiation {
 public:
  Differentiation(const PlanOptions& options, Program* program)
      : frozen_(options.frozen),
        program_(*program),
        gradients_(program->values.size(), kNoValue),
        needed_(program->values.size()) {
    FindNeeded();
  }

  Status Run(float label_smoothing, bool weighted) {
    const size_t forward_steps = program_.forward_steps = program_.steps.size();
    const ValueId logits = program_.output;
    const ValueId dlogits = Like(logits);
    Emit(step::SoftmaxCrossEntropy{label_smoothing, logits, dlogits, weighted});
    gradients_[logits] = dlogits;
    for (size_t i = forward_steps; i-- > 0;) {
      nodes_ = program_.steps[i].nodes;
      const StepOp op = program_.steps[i].op;  // a copy: emitting moves the steps
      NINC_RETURN_IF_ERROR(std::visit([&](const auto& forward) { return Backward(forward); }, op));
    }
    return {};
  }

  // Whether v depends on a parameter that is trained.
  bool Needed(ValueId v) const { return v != kNoValue && needed_[v]; }
  void Emit(StepOp op) { program_.steps.push_back({std::move(op), nodes_}); }

  // The gradient of a step's result.
  ValueId gradient(ValueId v) const { return gradients_[v]; }
  const Shape& shape(ValueId v) const { return program_.values[v].shape; }
  // A new value of v's shape.
  ValueId Like(ValueId v) { return program_.AddArena(program_.values[v].shape); }
  // One number a channel.
  ValueId Row(int64_t channels) { return program_.AddArena({1, 1, 1, channels}); }

  // One whose bytes its reader's kernel will tell.
  ValueId NewPacked() { return program_.AddValue({}); }

  // A new value for a parameter's gradient, which is read after the last step; none for a frozen
  // parameter.
  ValueId ParameterGradient(ValueId parameter) {
    if (!Needed(parameter)) return kNoValue;
    const ValueId gradient = Like(parameter);
    program_.values[gradient].keep = true;
    program_.gradients.push_back({program_.values[parameter].index, gradient});
    return gradient;
  }

  // One reader's share of v's gradient. Values never change, so a share may serve several times
  // (both sides of an add), and joining two makes a third.
  void Contribute(ValueId v, ValueId share) {
    ValueId& gradient = gradients_[v];
    if (gradient == kNoValue) {
      gradient = share;
      return;
    }
    const ValueId sum = Like(v);
    Emit(step::Add{{}, gradient, share, sum});
    gradient = sum;
  }

  // Where x's gradient is wanted, emits the step that `make` makes of its new value.
  template <typename Make>
  void EmitToInput(ValueId x, Make make) {
    if (!Needed(x)) return;
    const ValueId dx = Like(x);
    Emit(make(dx));
    Contribute(x, dx);
  }

 private:
  // Fills needed_, see Needed.
  void FindNeeded() {
    for (size_t v = 0; v < needed_.size(); ++v) {
      const Value& value = program_.values[v];
      needed_[v] =
          value.kind == ValueKind::kParameter && value.trained && !frozen_.Contains(value.index);
    }
    for (const Step& step : program_.steps) {
      const Operands operands = step.operands();
      bool any = false;
      for (ValueId v : operands.reads) any = any || Needed(v);
      for (ValueId v : operands.writes) needed_[v] = needed_[v] || any;
    }
  }

  // A step without a gradient would lose what stands before it in silence.
  template <typename Step>
  Status Backward(const Step& forward) {
    if constexpr (std::is_base_of_v<NoGradient, Gradient<Step>>) {
      return DeviceFailure("a training program holds the step '" + forward.summary().name +
                           "', which has no gradient");
    } else {
      Gradient<Step>::Of(forward, *this);
      return {};
    }
  }

  const ParameterSet& frozen_;
  Program& program_;
  std::vector<ValueId> gradients_;  // by forward value
  std::vector<bool> needed_;
  std::vector<NodeId> nodes_;  // the layers of the step under way
};

}  // namespace

Status AppendLossAndBackward(const PlanOptions& options, Program* program) {
  const Shape& logits = program->output_shapes.front();
  if (logits.h != 1 || logits.w != 1) {
    return InvalidShape("training needs an output of N×classes×1×1, got " + logits.ToString());
  }
  return Differentiation(options, program).Run(options.label_smoothing, options.class_weights);
}

}  // namespace ninc
