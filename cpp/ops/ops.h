// All operations, and what is asked of any of them.
#pragma once

#include "ops/activation.h"
#include "ops/add.h"
#include "ops/avg_pool2d.h"
#include "ops/batch_norm2d.h"
#include "ops/concat.h"
#include "ops/conv2d.h"
#include "ops/dropout.h"
#include "ops/elementwise/elementwise.h"
#include "ops/flatten.h"
#include "ops/global_avg_pool2d.h"
#include "ops/global_max_pool2d.h"
#include "ops/input.h"
#include "ops/linear.h"
#include "ops/max_pool2d.h"
#include "ops/softmax.h"

namespace ninc {

// Calls the visitor for each field, see OpRule.
template <class Visitor>
void VisitFields(Op& op, Visitor& visit) {
  VisitOp(op, [&](auto rule, auto& fields) { rule.VisitFields(fields, visit); });
}

// The activation that an operation is; none for other operations.
inline Activation ActivationOf(const Op& op) {
  return VisitOp(op, [](auto rule, const auto&) {
    if constexpr (requires { rule.kActivation; }) return rule.kActivation;
    return Activation{};
  });
}

// Whether an operation is computed as a convolution.
inline bool IsConvolution(const Op& op) {
  return VisitOp(op, [](auto rule, const auto&) {
    return requires { rule.kConvolution; };
  });
}

}  // namespace ninc
