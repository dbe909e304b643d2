// The fields of every operation, told once: the JSON reader, the JSON writer and the check of
// ranges are visitors of this list, so that none of them can forget a field.
//
// A visitor has
//   Integer(name, value, lowest)             lowest: the smallest value allowed
//   Integers(name, array of pointers, lowest)
//   Real(name, value, fits, range)           fits: whether the value now held lies in `range`
//   Flag(name, value)
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "ninc/graph.h"

namespace ninc {

template <typename Visitor>
void VisitFields(op::Input& op, Visitor& visit) {
  visit.Integer("channels", op.channels, 0);
}

template <typename Visitor>
void VisitFields(op::Conv2d& op, Visitor& visit) {
  Padding& padding = op.padding;
  visit.Integer("in_channels", op.in_channels, 1);
  visit.Integer("out_channels", op.out_channels, 1);
  visit.Integers("kernel_size", std::array{&op.kernel_h, &op.kernel_w}, 1);
  visit.Integers("stride", std::array{&op.stride_h, &op.stride_w}, 1);
  visit.Integers("dilation", std::array{&op.dilation_h, &op.dilation_w}, 1);
  visit.Integers("padding",
                 std::array{&padding.top, &padding.left, &padding.bottom, &padding.right}, 0);
  visit.Integer("groups", op.groups, 1);
  visit.Flag("bias", op.bias);
}

template <typename Visitor>
void VisitFields(op::BatchNorm2d& op, Visitor& visit) {
  visit.Integer("channels", op.channels, 1);
  visit.Real("eps", op.eps, op.eps > 0 && std::isfinite(op.eps), "above 0");
  visit.Real("momentum", op.momentum, op.momentum >= 0 && op.momentum <= 1, "in [0, 1]");
}

// What both poolings have.
template <typename Pool, typename Visitor>
void VisitPoolFields(Pool& op, Visitor& visit) {
  visit.Integers("kernel_size", std::array{&op.kernel_h, &op.kernel_w}, 1);
  visit.Integers("stride", std::array{&op.stride_h, &op.stride_w}, 1);
  visit.Integers("padding", std::array{&op.padding_h, &op.padding_w}, 0);
  visit.Flag("ceil_mode", op.ceil_mode);
}

template <typename Visitor>
void VisitFields(op::MaxPool2d& op, Visitor& visit) {
  VisitPoolFields(op, visit);
}

template <typename Visitor>
void VisitFields(op::AvgPool2d& op, Visitor& visit) {
  VisitPoolFields(op, visit);
  visit.Flag("count_include_pad", op.count_include_pad);
}

template <typename Visitor>
void VisitFields(op::Dropout& op, Visitor& visit) {
  visit.Real("p", op.p, op.p >= 0 && op.p < 1, "in [0, 1)");
}

template <typename Visitor>
void VisitFields(op::Linear& op, Visitor& visit) {
  visit.Integer("in_features", op.in_features, 1);
  visit.Integer("out_features", op.out_features, 1);
  visit.Flag("bias", op.bias);
}

// Operations without fields.
template <typename Visitor>
void VisitFields(op::Relu&, Visitor&) {}
template <typename Visitor>
void VisitFields(op::Relu6&, Visitor&) {}
template <typename Visitor>
void VisitFields(op::GlobalAvgPool2d&, Visitor&) {}
template <typename Visitor>
void VisitFields(op::Add&, Visitor&) {}
template <typename Visitor>
void VisitFields(op::Concat&, Visitor&) {}
template <typename Visitor>
void VisitFields(op::Flatten&, Visitor&) {}
template <typename Visitor>
void VisitFields(op::Softmax&, Visitor&) {}

template <typename Visitor>
void VisitFields(Op& op, Visitor& visit) {
  std::visit([&](auto& fields) { VisitFields(fields, visit); }, op);
}

// "Conv2d" -> Conv2d{}; false where there is no such operation.
bool MakeOp(std::string_view name, Op* op);

}  // namespace ninc
