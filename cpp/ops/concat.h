// Concat: its inputs one after another along the channels, each copied to its place.
#pragma once

#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
struct CopyChannels {  // y(r, y_offset + c) = x(r, x_offset + c) for c < channels
  int64_t channels, x_offset, y_offset;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
  StepSummary summary() const { return {"copy channels", y}; }
};
}  // namespace step

template <>
struct OpRule<op::Concat> : NoFields, NoParameters, TakesAnyChannels, EndsClasses {
  static constexpr OpFace kFace{
      .name = "Concat", .stem = "concat", .least_inputs = 2, .most_inputs = OpFace::kAny};
  static constexpr bool kOneBatch = true;
  static constexpr Places kPlaces = Places::kKept;
  using Steps = StepList<step::CopyChannels>;

  static Channels Gives(const op::Concat&, const auto& of) {
    Channels sum{.is_pixel = of.x(0).is_pixel};
    for (size_t i = 0; i < of.inputs(); ++i) {
      const Channels& x = of.x(i);
      // Networks that double their channels again and again come to no number at all.
      const bool overflows = __builtin_add_overflow(sum.times, x.times, &sum.times) ||
                             __builtin_add_overflow(sum.plus, x.plus, &sum.plus);
      sum.known = sum.known && x.known && !overflows;
    }
    return sum;
  }

  static Result<Shape> OutputShape(const op::Concat&, Shapes x) {
    Shape output = x[0];
    output.c = 0;
    for (const Shape& shape : x) {
      if (shape.n != output.n || shape.h != output.h || shape.w != output.w) {
        return InvalidShape("expected inputs of one batch, height and width, got " +
                            x[0].ToString() + " and " + shape.ToString());
      }
      output.c += shape.c;
    }
    return output;
  }

  static Status Lower(const op::Concat&, NodeId id, auto& to) {
    const ValueId y = to.NewValue(id);
    int64_t offset = 0;
    for (size_t i = 0; i < to.inputs(id); ++i) {
      const int64_t channels = to.input_shape(id, i).c;
      to.Emit(step::CopyChannels{channels, 0, offset, to.input(id, i), y}, {id});
      offset += channels;
    }
    return {};
  }
};

template <>
struct Gradient<step::CopyChannels> {
  static void Of(const step::CopyChannels& forward, auto& to) {
    to.EmitToInput(forward.x, [&](ValueId dx) {
      return step::CopyChannels{forward.channels, forward.y_offset, forward.x_offset,
                                to.gradient(forward.y), dx};
    });
  }
};

}  // namespace ninc
