// Reverse mode: the forward steps from the last to the first, each turning its result's gradient
// into its operands'. When a step's turn comes, everyone who reads its result has had theirs, so
// the gradient is complete.
#include "compile/autodiff.h"

#include <utility>

namespace ninc {
namespace {

class Differentiation {
 public:
  Differentiation(const PlanOptions& options, Program* program)
      : frozen_(options.frozen),
        program_(*program),
        gradients_(program->values.size(), kNoValue),
        needed_(program->values.size()) {
    FindNeeded();
  }

  void Run(float label_smoothing) {
    const size_t forward_steps = program_.forward_steps = program_.steps.size();
    const ValueId logits = program_.output;
    const ValueId dlogits = program_.AddArena(program_.values[logits].shape);
    Emit(step::SoftmaxCrossEntropy{label_smoothing, logits, dlogits});
    gradients_[logits] = dlogits;
    for (size_t i = forward_steps; i-- > 0;) {
      nodes_ = program_.steps[i].nodes;
      const StepOp op = program_.steps[i].op;  // a copy: emitting moves the steps
      std::visit([&](const auto& forward) { Backward(forward); }, op);
    }
  }

 private:
  // needed_[v]: whether v depends on a parameter that is trained.
  void FindNeeded() {
    for (size_t v = 0; v < needed_.size(); ++v) {
      const Value& value = program_.values[v];
      needed_[v] = value.kind == ValueKind::kParameter && !Frozen(value.index);
    }
    for (const Step& step : program_.steps) {
      const Operands operands = step.operands();
      bool any = false;
      for (ValueId v : operands.reads) any = any || Needed(v);
      for (ValueId v : operands.writes) needed_[v] = needed_[v] || any;
    }
  }
  bool Needed(ValueId v) const { return v != kNoValue && needed_[v]; }
  bool Frozen(int32_t parameter) const { return frozen_.Contains(parameter); }

  void Emit(StepOp op) { program_.steps.push_back({std::move(op), nodes_}); }

  ValueId Like(ValueId v) { return program_.AddArena(program_.values[v].shape); }

  // A new value for a parameter's gradient, read behind the last step; none for a frozen one.
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

  // Emits Op{fields..., dx} and contributes dx, where x's gradient is wanted.
  template <typename Op, typename... Fields>
  void EmitToInput(ValueId x, Fields... fields) {
    if (!Needed(x)) return;
    const ValueId dx = Like(x);
    Emit(Op{fields..., dx});
    Contribute(x, dx);
  }

  // The gradient of an activation's input, where y is its output.
  ValueId BeforeActivation(Activation activation, ValueId y) {
    const ValueId dy = gradients_[y];
    if (activation == Activation{}) return dy;
    const ValueId dx = Like(y);
    Emit(step::ActivationBackward{activation, dy, y, dx, kNoValue});
    return dx;
  }

  // ---- Steps ------------------------------------------------------------------------------------

  void Backward(const step::FromNchw&) {}     // the network's input
  void Backward(const step::PackWeights&) {}  // the convolution's business

  void Backward(const step::ToNchw& forward) {
    EmitToInput<step::FromNchw>(forward.x, gradients_[forward.y]);
  }

  void Backward(const step::Conv2d& forward) {
    if (!Needed(forward.y)) return;
    const Conv2dProblem& problem = forward.problem;
    ValueId dy = gradients_[forward.y];
    const bool active = forward.activation != Activation{};
    if (active || Needed(forward.bias)) {
      const ValueId dz = active ? Like(forward.y) : kNoValue;
      const ValueId dbias = ParameterGradient(forward.bias);
      Emit(step::ActivationBackward{forward.activation, dy, forward.y, dz, dbias});
      if (active) dy = dz;
    }
    if (Needed(forward.weight)) {
      Emit(step::Conv2dBackwardWeights{problem, forward.x, dy, ParameterGradient(forward.weight)});
    }
    if (!Needed(forward.x)) return;
    const ValueId packed = program_.AddValue({});
    Emit(step::PackWeights{forward.weight, packed});
    EmitToInput<step::Conv2dBackwardData>(forward.x, problem, dy, packed);
  }

  void Backward(const step::ActivationForward& forward) {
    if (!Needed(forward.x)) return;
    Contribute(forward.x, BeforeActivation(forward.activation, forward.y));
  }

  void Backward(const step::MaxPool2d& forward) {
    EmitToInput<step::MaxPool2dBackward>(forward.x, forward.problem, gradients_[forward.y],
                                         forward.x);
  }
  void Backward(const step::AvgPool2d& forward) {
    EmitToInput<step::AvgPool2dBackward>(forward.x, forward.problem, gradients_[forward.y]);
  }
  void Backward(const step::GlobalAvgPool2d& forward) {
    EmitToInput<step::GlobalAvgPool2dBackward>(forward.x, gradients_[forward.y]);
  }
  void Backward(const step::Dropout& forward) {
    EmitToInput<step::Dropout>(forward.x, forward.p, forward.layer, gradients_[forward.y]);
  }
  void Backward(const step::Softmax& forward) {
    EmitToInput<step::SoftmaxBackward>(forward.x, gradients_[forward.y], forward.y);
  }

  void Backward(const step::BatchNorm& forward) {
    if (!Needed(forward.y)) return;
    // The kernel writes all of them, wanted or not.
    const auto gradient = [&](ValueId parameter) {
      return Needed(parameter) ? ParameterGradient(parameter) : Like(parameter);
    };
    const ValueId dx = Like(forward.x);
    const ValueId dweight = gradient(forward.weight);
    const ValueId dbias = gradient(forward.bias);
    Emit(step::BatchNormBackward{forward.activation, gradients_[forward.y], forward.x, forward.y,
                                 forward.weight, forward.save_mean, forward.save_inv_std, dx,
                                 dweight, dbias});
    if (Needed(forward.x)) Contribute(forward.x, dx);
  }

  void Backward(const step::ScaleShift& forward) {  // of a frozen batch norm
    if (!Needed(forward.x)) return;
    const ValueId dz = BeforeActivation(forward.activation, forward.y);
    EmitToInput<step::ScaleShift>(forward.x, Activation{}, dz, forward.scale, kNoValue);
  }

  void Backward(const step::Add& forward) {
    if (!Needed(forward.y)) return;
    const ValueId dy = BeforeActivation(forward.activation, forward.y);
    for (ValueId x : {forward.a, forward.b}) {
      if (Needed(x)) Contribute(x, dy);
    }
  }

  void Backward(const step::CopyChannels& forward) {
    EmitToInput<step::CopyChannels>(forward.x, forward.channels, forward.y_offset, forward.x_offset,
                                    gradients_[forward.y]);
  }

  // What forward programs of training do not hold: inference's own, and what this file appends.
  template <typename Other>
  void Backward(const Other&) {}

  const ParameterSet& frozen_;
  Program& program_;
  std::vector<ValueId> gradients_;  // by forward value
  std::vector<bool> needed_;
  std::vector<NodeId> nodes_;  // the layers of the step under way
};

}  // namespace

Status AppendLossAndBackward(const PlanOptions& options, Program* program) {
  const Shape& logits = program->output_shape;
  if (logits.h != 1 || logits.w != 1) {
    return InvalidShape("training needs an output of N×classes×1×1, got " + logits.ToString());
  }
  Differentiation(options, program).Run(options.label_smoothing);
  return {};
}

}  // namespace ninc
