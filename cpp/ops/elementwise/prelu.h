// PRelu: y = x where x > 0, else slope(c) · x, with a trained slope for each channel, or one for
// all (He, Zhang, Ren, Sun 2015).
//     dx = dy where x > 0, else slope(c) · dy;  dslope(c) = the sum of dy · x where x <= 0
#pragma once

#include "ops/elementwise/activation.h"
#include "ops/elementwise/binary.h"
#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
struct PRelu {  // slope: one for each channel, or one
  ValueId x, slope, y;
  Operands operands() const { return {{x, slope}, {y}, {x}}; }
  StepSummary summary() const { return {"prelu", y}; }
};
// dx, and what is to be summed for slope's gradient; either may be missing.
struct PReluBackward {
  ValueId dy, x, slope, dx, terms;
  Operands operands() const { return {{dy, x, slope}, {dx, terms}}; }
  StepSummary summary() const { return {"prelu backward", dx == kNoValue ? terms : dx}; }
};
}  // namespace step

template <>
struct OpRule<op::PRelu> : NoCheck, KeepsShape, KeepsClasses {
  static constexpr OpFace kFace{.name = "PRelu", .stem = "prelu"};
  static constexpr const char* kChannelsField = "channels";
  using Steps = StepList<step::PRelu, step::PReluBackward>;

  static void VisitFields(op::PRelu& op, auto& visit) { visit.Integer("channels", op.channels, 1); }

  static std::vector<ParameterField> Parameters(const op::PRelu& op) {
    return {{.name = "weight", .dims = {op.channels}, .initial = 0.25f}};
  }

  static Taken Takes(const op::PRelu& op) {
    return {.channels = op.channels == 1 ? 0 : op.channels};
  }

  static Status Lower(const op::PRelu&, NodeId id, auto& to) {
    to.Emit(step::PRelu{to.input(id), to.PlainParameter(id, "weight"), to.NewValue(id)}, {id});
    return {};
  }
};

template <>
struct Gradient<step::PRelu> {
  static void Of(const step::PRelu& forward, auto& to) {
    const bool trained = to.Needed(forward.slope), passes = to.Needed(forward.x);
    if (!trained && !passes) return;
    const step::PReluBackward backward{to.gradient(forward.y), forward.x, forward.slope,
                                       passes ? to.Like(forward.x) : kNoValue,
                                       trained ? to.Like(forward.x) : kNoValue};
    to.Emit(backward);
    if (passes) to.Contribute(forward.x, backward.dx);
    if (!trained) return;
    // Summed over rows first, which all threads share.
    const ValueId dslope = to.ParameterGradient(forward.slope);
    const bool is_one = to.shape(forward.slope).c != to.shape(forward.x).c;
    const ValueId row = is_one ? to.Row(to.shape(forward.x).c) : dslope;
    to.Emit(step::ActivationBackward{{}, backward.terms, kNoValue, kNoValue, row});
    if (is_one) to.Emit(step::SumTo{1.0f, row, dslope});
  }
};
template <>
struct Gradient<step::PReluBackward> : NoGradient {};

}  // namespace ninc
