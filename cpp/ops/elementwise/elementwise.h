// Elementwise: y = f(x), element by element, for each f of the table.
//     dx = dy · f'
#pragma once

#include <cmath>
#include <cstdint>

#include "ninc/function.h"
#include "ops/rule/op_rule.h"

namespace ninc {

// Of its own, so that code for an instruction set finds the table that it includes and not this
// one.
namespace elementwise_table {
#define NINC_ELEMENTWISE inline
#include "ops/elementwise/elementwise_table.inc"
#undef NINC_ELEMENTWISE
}  // namespace elementwise_table
using elementwise_table::FunctionRow;

// A function's name in a graph, "Silu".
inline std::string_view Name(Function function) {
  std::string_view name;
  elementwise_table::WithRow(function, [&](auto row) { name = row.kName; });
  return name;
}
// Whether its derivative is computed from its output, else from its input.
inline bool SlopeIsOfOutput(Function function) {
  bool of_output = false;
  elementwise_table::WithRow(function, [&](auto row) { of_output = row.kOfOutput; });
  return of_output;
}

namespace step {
struct Elementwise {  // y = f(x)
  Function function;
  FunctionSettings settings;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}, {x}}; }
  StepSummary summary() const { return {std::string(ninc::Name(function)), y}; }
};
struct ElementwiseBackward {  // dx = dy · f'; v: y or x, whichever f' is computed from
  Function function;
  FunctionSettings settings;
  ValueId dy, v, dx;
  Operands operands() const { return {{dy, v}, {dx}, {dy, v}}; }
  StepSummary summary() const { return {std::string(ninc::Name(function)) + " backward", dx}; }
};
}  // namespace step

namespace op {
// The settings of each operation as its function has them; none for most.
template <Function kFunction>
FunctionSettings Settings(const Elementwise<kFunction>&) {
  return {};
}
inline FunctionSettings Settings(const LeakyRelu& op) { return {op.slope}; }
inline FunctionSettings Settings(const Elu& op) { return {op.alpha}; }
inline FunctionSettings Settings(const HardSigmoid& op) { return {op.alpha, op.beta}; }
}  // namespace op

template <Function kFunction>
struct OpRule<op::Elementwise<kFunction>> : NoCheck, NoParameters, KeepsShape, KeepsClasses {
  using X = op::Elementwise<kFunction>;
  static constexpr OpFace kFace{.name = FunctionRow<kFunction>::kName,
                                .stem = FunctionRow<kFunction>::kStem};
  // One pair of steps serves all functions, and stands in the list of one of them.
  using Steps =
      std::conditional_t<kFunction == Function::kLeakyRelu,
                         StepList<step::Elementwise, step::ElementwiseBackward>, StepList<>>;

  static void VisitFields(X& op, auto& visit) {
    const auto number = [&](const char* name, float& value) {
      visit.Real(name, value, std::isfinite(value), "finite");
    };
    if constexpr (requires { op.slope; }) number("slope", op.slope);
    if constexpr (requires { op.alpha; }) number("alpha", op.alpha);
    if constexpr (requires { op.beta; }) number("beta", op.beta);
  }

  static Status Lower(const X& op, NodeId id, auto& to) {
    to.Emit(step::Elementwise{kFunction, op::Settings(op), to.input(id), to.NewValue(id)}, {id});
    return {};
  }
};

template <>
struct Gradient<step::Elementwise> {
  static void Of(const step::Elementwise& forward, auto& to) {
    to.EmitToInput(forward.x, [&](ValueId dx) {
      const ValueId v = SlopeIsOfOutput(forward.function) ? forward.y : forward.x;
      return step::ElementwiseBackward{forward.function, forward.settings, to.gradient(forward.y),
                                       v, dx};
    });
  }
};
template <>
struct Gradient<step::ElementwiseBackward> : NoGradient {};

}  // namespace ninc
