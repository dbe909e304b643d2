// GlobalMaxPool2d: the largest value of each map; NaN counts as largest.
//     y(n,1,1,c) = max over h, w of x(n,h,w,c)
//     dx(n,h,w,c) = dy(n,1,1,c) at the first maximum in row order, else 0
#pragma once

#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
struct GlobalMaxPool2d {
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
  StepSummary summary() const { return {"global_max_pool2d", y}; }
};
struct GlobalMaxPool2dBackward {
  ValueId dy, x, dx;
  Operands operands() const { return {{dy, x}, {dx}}; }
  StepSummary summary() const { return {"global_max_pool2d backward", dx}; }
};
}  // namespace step

template <>
struct OpRule<op::GlobalMaxPool2d> : NoFields, NoParameters, TakesAnyChannels, KeepsClasses {
  static constexpr OpFace kFace{.name = "GlobalMaxPool2d", .stem = "gmp"};
  static constexpr Places kPlaces = Places::kWhole;
  using Steps = StepList<step::GlobalMaxPool2d, step::GlobalMaxPool2dBackward>;

  static Channels Gives(const op::GlobalMaxPool2d&, const auto& of) {
    return of.x(0).WithPixel(true);
  }

  static Result<Shape> OutputShape(const op::GlobalMaxPool2d&, Shapes x) {
    return Shape{x[0].n, 1, 1, x[0].c};
  }

  static Status Lower(const op::GlobalMaxPool2d&, NodeId id, auto& to) {
    to.Emit(step::GlobalMaxPool2d{to.input(id), to.NewValue(id)}, {id});
    return {};
  }
};

template <>
struct Gradient<step::GlobalMaxPool2d> {
  static void Of(const step::GlobalMaxPool2d& forward, auto& to) {
    to.EmitToInput(forward.x, [&](ValueId dx) {
      return step::GlobalMaxPool2dBackward{to.gradient(forward.y), forward.x, dx};
    });
  }
};
template <>
struct Gradient<step::GlobalMaxPool2dBackward> : NoGradient {};

}  // namespace ninc
