// ChannelShuffle: channel i·(C/groups) + j comes to j·groups + i, so that the groups of a
// convolution that follows see channels of all groups of the one before (Zhang, Zhou, Lin, Sun
// 2017, ShuffleNet).
#pragma once

#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
struct ChannelShuffle {
  int64_t groups;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
  StepSummary summary() const { return {"channel_shuffle", y}; }
};
}  // namespace step

template <>
struct OpRule<op::ChannelShuffle> : NoCheck, NoParameters, KeepsShape, EndsClasses {
  static constexpr OpFace kFace{.name = "ChannelShuffle", .stem = "shuffle"};
  using Steps = StepList<step::ChannelShuffle>;

  static void VisitFields(op::ChannelShuffle& op, auto& visit) {
    visit.Integer("groups", op.groups, 1);
  }

  static Taken Takes(const op::ChannelShuffle& op) { return {.multiple_of = op.groups}; }

  static Status Lower(const op::ChannelShuffle& op, NodeId id, auto& to) {
    to.Emit(step::ChannelShuffle{op.groups, to.input(id), to.NewValue(id)}, {id});
    return {};
  }
};

template <>
struct Gradient<step::ChannelShuffle> {
  static void Of(const step::ChannelShuffle& forward, auto& to) {
    to.EmitToInput(forward.x, [&](ValueId dx) {
      return step::ChannelShuffle{to.shape(forward.x).c / forward.groups, to.gradient(forward.y),
                                  dx};
    });
  }
};

}  // namespace ninc
