// All operations, and what is asked of any of them.
#pragma once

#include "ops/elementwise/activation.h"
#include "ops/avg_pool2d.h"
#include "ops/batch_norm2d.h"
#include "ops/elementwise/binary.h"
#include "ops/channel_shuffle.h"
#include "ops/concat.h"
#include "ops/constant.h"
#include "ops/conv2d.h"
#include "ops/dropout.h"
#include "ops/elementwise/elementwise.h"
#include "ops/flatten.h"
#include "ops/global_avg_pool2d.h"
#include "ops/global_max_pool2d.h"
#include "ops/input.h"
#include "ops/linear.h"
#include "ops/local_response_norm.h"
#include "ops/max_pool2d.h"
#include "ops/elementwise/prelu.h"
#include "ops/softmax.h"
#include "ops/window.h"

namespace ninc {

// Calls the visitor for each field, see OpRule.
template <class Visitor>
void VisitFields(Op& op, Visitor& visit) {
  VisitOp(op, [&](auto rule, auto& fields) { rule.VisitFields(fields, visit); });
}

// The activation that an operation is; none for other operations.
inline Activation ActivationOf(const Op& op) {
  return VisitOp(op, [](auto rule, const auto& fields) {
    if constexpr (requires { rule.AsActivation(fields); }) return rule.AsActivation(fields);
    return kNoActivation;
  });
}

// Whether an operation is computed as a convolution.
inline bool IsConvolution(const Op& op) {
  return VisitOp(op, [](auto rule, const auto&) {
    return requires { rule.kConvolution; };
  });
}

}  // namespace ninc
