// MaxPool2d: y(n,p,q,c) = the largest x(n,h,w,c) of a window; NaN counts as largest. The first of
// them in row order takes the window's gradient. See Pool2dProblem.
#pragma once

#include "ops/window_pool2d.h"

namespace ninc {

namespace step {
struct MaxPool2d {
  Pool2dProblem problem;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
  StepSummary summary() const { return {"max_pool2d", y}; }
};
struct MaxPool2dBackward {
  Pool2dProblem problem;
  ValueId dy, x, dx;
  Operands operands() const { return {{dy, x}, {dx}}; }
  StepSummary summary() const { return {"max_pool2d backward", dx}; }
};
}  // namespace step

template <>
struct OpRule<op::MaxPool2d> : WindowPool2dRule {
  static constexpr OpFace kFace{.name = "MaxPool2d", .stem = "pool"};
  using Steps = StepList<step::MaxPool2d, step::MaxPool2dBackward>;

  static void VisitFields(op::MaxPool2d& op, auto& visit) { VisitWindow(op, visit); }

  static Status Lower(const op::MaxPool2d& op, NodeId id, auto& to) {
    const Pool2dProblem problem = WindowProblem(op, to.input_shape(id));
    to.Emit(step::MaxPool2d{problem, to.input(id), to.NewValue(id)}, {id});
    return {};
  }
};

template <>
struct Gradient<step::MaxPool2d> {
  static void Of(const step::MaxPool2d& forward, auto& to) {
    to.EmitToInput(forward.x, [&](ValueId dx) {
      return step::MaxPool2dBackward{forward.problem, to.gradient(forward.y), forward.x, dx};
    });
  }
};
template <>
struct Gradient<step::MaxPool2dBackward> : NoGradient {};

}  // namespace ninc
