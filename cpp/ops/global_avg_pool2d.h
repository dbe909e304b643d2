// GlobalAvgPool2d: the mean of each map (Lin, Chen, Yan 2013, section 3.2).
//     y(n,1,1,c) = mean over h, w of x(n,h,w,c)        dx(n,h,w,c) = dy(n,1,1,c) / (H·W)
#pragma once

#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
struct GlobalAvgPool2d {
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
  StepSummary summary() const { return {"global_avg_pool2d", y}; }
};
struct GlobalAvgPool2dBackward {
  ValueId dy, dx;
  Operands operands() const { return {{dy}, {dx}}; }
  StepSummary summary() const { return {"global_avg_pool2d backward", dx}; }
};
}  // namespace step

template <>
struct OpRule<op::GlobalAvgPool2d> : NoFields, NoParameters, TakesAnyChannels, KeepsClasses {
  static constexpr OpFace kFace{.name = "GlobalAvgPool2d", .stem = "gap", .once = true};
  static constexpr Places kPlaces = Places::kWhole;
  using Steps = StepList<step::GlobalAvgPool2d, step::GlobalAvgPool2dBackward>;

  static Channels Gives(const op::GlobalAvgPool2d&, const auto& of) {
    return of.x(0).WithPixel(true);
  }

  static Result<Shape> OutputShape(const op::GlobalAvgPool2d&, Shapes x) {
    return Shape{x[0].n, 1, 1, x[0].c};
  }

  static Status Lower(const op::GlobalAvgPool2d&, NodeId id, auto& to) {
    to.Emit(step::GlobalAvgPool2d{to.input(id), to.NewValue(id)}, {id});
    return {};
  }
};

template <>
struct Gradient<step::GlobalAvgPool2d> {
  static void Of(const step::GlobalAvgPool2d& forward, auto& to) {
    to.EmitToInput(forward.x, [&](ValueId dx) {
      return step::GlobalAvgPool2dBackward{to.gradient(forward.y), dx};
    });
  }
};
template <>
struct Gradient<step::GlobalAvgPool2dBackward> : NoGradient {};

}  // namespace ninc
