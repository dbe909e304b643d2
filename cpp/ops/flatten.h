// Flatten: N×C×H×W -> N×(C·H·W)×1×1 in the users' order C, H, W.
#pragma once

#include "ops/input.h"
#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
struct ToNchw {  // N×H×W×C -> N×C×H×W contiguous, whatever y's own shape calls it
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
  StepSummary summary() const { return {"to nchw", y}; }
};
}  // namespace step

template <>
struct OpRule<op::Flatten> : NoFields, NoParameters, TakesAnyChannels, KeepsClasses {
  static constexpr OpFace kFace{.name = "Flatten", .stem = "flatten", .once = true};
  static constexpr Places kPlaces = Places::kWhole;
  using Steps = StepList<step::ToNchw>;

  static Channels Gives(const op::Flatten&, const auto& of) {
    Channels flat = of.x(0);
    flat.known = flat.known && flat.is_pixel;
    flat.is_pixel = true;
    return flat;
  }

  static Result<Shape> OutputShape(const op::Flatten&, Shapes x) {
    return Shape{x[0].n, 1, 1, x[0].h * x[0].w * x[0].c};
  }

  static Status Lower(const op::Flatten&, NodeId id, auto& to) {
    if (to.shape(id) == to.input_shape(id)) {
      to.Pass(id);
    } else {
      to.Emit(step::ToNchw{to.input(id), to.NewValue(id)}, {id});
    }
    return {};
  }
};

template <>
struct Gradient<step::ToNchw> {
  static void Of(const step::ToNchw& forward, auto& to) {
    to.EmitToInput(forward.x, [&](ValueId dx) {
      return step::FromNchw{to.gradient(forward.y), dx};
    });
  }
};

}  // namespace ninc
