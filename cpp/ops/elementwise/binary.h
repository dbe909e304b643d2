// Add, Sub, Mul, Div: y = f(a, b), element by element. A size of 1 of one operand (the batch, the
// height, the width or the channels) stands for the other's, as in numpy.
//     Add  da = dy      db = dy            Mul  da = dy · b    db = dy · a
//     Sub  da = dy      db = -dy           Div  da = dy / b    db = -dy · y / b
// each summed over what its operand has one of.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "ninc/function.h"
#include "ops/elementwise/activation.h"
#include "ops/rule/op_rule.h"

namespace ninc {

// "mul"
inline std::string Name(BinaryFunction function) {
  constexpr const char* kNames[] = {"add", "sub", "mul", "div"};
  return kNames[static_cast<size_t>(function)];
}

namespace step {
struct Add {  // y = activation(a + b), of one shape; also joins gradients
  Activation activation;
  ValueId a, b, y;
  Operands operands() const { return {{a, b}, {y}, {a, b}}; }
  StepSummary summary() const { return {With("add", activation), y}; }
};
struct Binary {  // y = f(a, b)
  BinaryFunction function;
  ValueId a, b, y;
  Operands operands() const { return {{a, b}, {y}, {a, b}}; }
  StepSummary summary() const { return {ninc::Name(function), y}; }
};
struct SumTo {  // y = factor · the sum of x over those of its sizes of which y has one
  float factor;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}, {x}}; }
  StepSummary summary() const { return {"sum to", y}; }
};
}  // namespace step

// The shape of f(a, b); an error where the two do not go together.
inline Result<Shape> BroadcastShape(const Shape& a, const Shape& b) {
  bool fits = true;
  const auto size = [&](int64_t one, int64_t other) {
    fits = fits && (one == other || one == 1 || other == 1);
    return one == 1 ? other : one;
  };
  const Shape y{size(a.n, b.n), size(a.h, b.h), size(a.w, b.w), size(a.c, b.c)};
  if (fits) return y;
  return InvalidShape(
      "expected two inputs of one shape, or of a size of 1 where they differ, got " + a.ToString() +
      " and " + b.ToString());
}

template <BinaryFunction kFunction>
struct BinaryRule : NoFields, NoParameters, TakesAnyChannels, KeepsClasses {
  static constexpr Places kPlaces = Places::kKept;
  static constexpr OpFace Face(std::string_view name, std::string_view stem) {
    return {.name = name, .stem = stem, .least_inputs = 2, .most_inputs = 2};
  }

  static Channels Gives(const auto&, auto& of) { return of.Broadcast(); }

  static Result<Shape> OutputShape(const auto&, Shapes x) { return BroadcastShape(x[0], x[1]); }

  static Status Lower(const auto&, NodeId id, auto& to) {
    const ValueId a = to.input(id, 0), b = to.input(id, 1);
    const bool alike = to.input_shape(id, 0) == to.input_shape(id, 1);
    if (kFunction == BinaryFunction::kAdd && alike) {
      std::vector<NodeId> nodes{id};
      const Activation activation = to.SwallowActivation(&id, &nodes);
      to.Emit(step::Add{activation, a, b, to.NewValue(id)}, std::move(nodes));
    } else {
      to.Emit(step::Binary{kFunction, a, b, to.NewValue(id)}, {id});
    }
    return {};
  }
};

template <>
struct OpRule<op::Add> : BinaryRule<BinaryFunction::kAdd> {
  static constexpr OpFace kFace = Face("Add", "add");
  using Steps = StepList<step::Add, step::Binary, step::SumTo>;
};
template <>
struct OpRule<op::Sub> : BinaryRule<BinaryFunction::kSub> {
  static constexpr OpFace kFace = Face("Sub", "sub");
  using Steps = StepList<>;
};
template <>
struct OpRule<op::Mul> : BinaryRule<BinaryFunction::kMul> {
  static constexpr OpFace kFace = Face("Mul", "mul");
  using Steps = StepList<>;
};
template <>
struct OpRule<op::Div> : BinaryRule<BinaryFunction::kDiv> {
  static constexpr OpFace kFace = Face("Div", "div");
  using Steps = StepList<>;
};

template <>
struct Gradient<step::Add> {
  static void Of(const step::Add& forward, auto& to) {
    if (!to.Needed(forward.y)) return;
    const ValueId dy = BeforeActivation(forward.activation, forward.y, to);
    for (ValueId x : {forward.a, forward.b}) {
      if (to.Needed(x)) to.Contribute(x, dy);
    }
  }
};
template <>
struct Gradient<step::Binary> {
  static void Of(const step::Binary& forward, auto& to) {
    if (!to.Needed(forward.y)) return;
    const ValueId dy = to.gradient(forward.y), a = forward.a, b = forward.b;
    const auto by = [&](BinaryFunction function, ValueId left, ValueId right) {
      const ValueId result = to.Like(forward.y);
      to.Emit(step::Binary{function, left, right, result});
      return result;
    };
    // x's share is factor · g, which has y's shape.
    const auto contribute = [&](ValueId x, float factor, ValueId g) {
      if (factor == 1.0f && to.shape(x) == to.shape(g)) return to.Contribute(x, g);
      const ValueId sum = to.Like(x);
      to.Emit(step::SumTo{factor, g, sum});
      to.Contribute(x, sum);
    };
    switch (forward.function) {
      case BinaryFunction::kAdd:
      case BinaryFunction::kSub:
        if (to.Needed(a)) contribute(a, 1.0f, dy);
        if (to.Needed(b))
          contribute(b, forward.function == BinaryFunction::kAdd ? 1.0f : -1.0f, dy);
        break;
      case BinaryFunction::kMul:
        if (to.Needed(a)) contribute(a, 1.0f, by(BinaryFunction::kMul, dy, b));
        if (to.Needed(b)) contribute(b, 1.0f, by(BinaryFunction::kMul, dy, a));
        break;
      case BinaryFunction::kDiv: {
        const ValueId da = by(BinaryFunction::kDiv, dy, b);
        if (to.Needed(a)) contribute(a, 1.0f, da);
        if (to.Needed(b)) contribute(b, -1.0f, by(BinaryFunction::kMul, da, forward.y));
        break;
      }
    }
  }
};
template <>
struct Gradient<step::SumTo> : NoGradient {};  // stands in backward programs alone

}  // namespace ninc
