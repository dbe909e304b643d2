// LocalResponseNorm: y(c) = x(c) · s(c)^-beta, s(c) = k + alpha/size · the sum of x(i)² over the
// `size` channels i around c (Krizhevsky, Sutskever, Hinton 2012, section 3.3). size is odd.
//     dx(c) = dy(c) · s(c)^-beta - 2·alpha·beta/size · x(c) · the sum of dy(i) · x(i) ·
//     s(i)^(-beta-1)
#pragma once

#include <cmath>
#include <string>

#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
struct LocalResponseNorm {
  op::LocalResponseNorm settings;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
  StepSummary summary() const { return {"local_response_norm", y}; }
};
struct LocalResponseNormBackward {
  op::LocalResponseNorm settings;
  ValueId dy, x, dx;
  Operands operands() const { return {{dy, x}, {dx}}; }
  StepSummary summary() const { return {"local_response_norm backward", dx}; }
};
}  // namespace step

template <>
struct OpRule<op::LocalResponseNorm> : NoParameters, KeepsShape, KeepsClasses {
  static constexpr OpFace kFace{.name = "LocalResponseNorm", .stem = "lrn"};
  using Steps = StepList<step::LocalResponseNorm, step::LocalResponseNormBackward>;

  static void VisitFields(op::LocalResponseNorm& op, auto& visit) {
    const auto number = [&](const char* name, float& value) {
      visit.Real(name, value, value >= 0 && std::isfinite(value), "0 or more");
    };
    visit.Integer("size", op.size, 1);
    number("alpha", op.alpha);
    number("beta", op.beta);
    visit.Real("k", op.k, op.k > 0 && std::isfinite(op.k), "above 0");
  }

  static std::string Check(const op::LocalResponseNorm& op) {
    return op.size % 2 == 1 ? "" : "size must be odd, got " + std::to_string(op.size);
  }

  static Status Lower(const op::LocalResponseNorm& op, NodeId id, auto& to) {
    to.Emit(step::LocalResponseNorm{op, to.input(id), to.NewValue(id)}, {id});
    return {};
  }
};

template <>
struct Gradient<step::LocalResponseNorm> {
  static void Of(const step::LocalResponseNorm& forward, auto& to) {
    to.EmitToInput(forward.x, [&](ValueId dx) {
      return step::LocalResponseNormBackward{forward.settings, to.gradient(forward.y), forward.x,
                                             dx};
    });
  }
};
template <>
struct Gradient<step::LocalResponseNormBackward> : NoGradient {};

}  // namespace ninc
