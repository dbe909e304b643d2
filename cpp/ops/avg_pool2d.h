// AvgPool2d: y(n,p,q,c) = the mean of x(n,h,w,c) over a window, whose area counts the padding or
// does not. dx(n,h,w,c) = the sum of dy(n,p,q,c) / area over the windows that hold (h,w). See
// Pool2dProblem.
#pragma once

#include "ops/window_pool2d.h"

namespace ninc {

namespace step {
struct AvgPool2d {
  Pool2dProblem problem;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
  StepSummary summary() const { return {"avg_pool2d", y}; }
};
struct AvgPool2dBackward {
  Pool2dProblem problem;
  ValueId dy, dx;
  Operands operands() const { return {{dy}, {dx}}; }
  StepSummary summary() const { return {"avg_pool2d backward", dx}; }
};
}  // namespace step

template <>
struct OpRule<op::AvgPool2d> : WindowPool2dRule {
  static constexpr OpFace kFace{.name = "AvgPool2d", .stem = "pool"};
  using Steps = StepList<step::AvgPool2d, step::AvgPool2dBackward>;

  static void VisitFields(op::AvgPool2d& op, auto& visit) {
    VisitWindow(op, visit);
    visit.Flag("count_include_pad", op.count_include_pad);
  }

  static Status Lower(const op::AvgPool2d& op, NodeId id, auto& to) {
    Pool2dProblem problem = WindowProblem(op, to.input_shape(id));
    problem.count_include_pad = op.count_include_pad;
    to.Emit(step::AvgPool2d{problem, to.input(id), to.NewValue(id)}, {id});
    return {};
  }
};

template <>
struct Gradient<step::AvgPool2d> {
  static void Of(const step::AvgPool2d& forward, auto& to) {
    to.EmitToInput(forward.x, [&](ValueId dx) {
      return step::AvgPool2dBackward{forward.problem, to.gradient(forward.y), dx};
    });
  }
};
template <>
struct Gradient<step::AvgPool2dBackward> : NoGradient {};

}  // namespace ninc
