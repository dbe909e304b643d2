// All kinds of step: those of the operations, and those that compiling adds to them.
#pragma once

#include <variant>

#include "compile/steps/fused.h"
#include "compile/steps/loss.h"
#include "compile/steps/shards.h"
#include "compile/steps/sync_batch_norm.h"
#include "compile/steps/update.h"
#include "ops/ops.h"

namespace ninc {

// Types alone: these are never called.
template <class... A, class... B>
StepList<A..., B...> operator+(StepList<A...>, StepList<B...>);

template <class... Ops>
auto StepsOf(const std::variant<Ops...>&) -> decltype((typename OpRule<Ops>::Steps() + ...));
template <class... Steps>
std::variant<Steps...> VariantOf(StepList<Steps...>);

using AnyStep =
    decltype(VariantOf(StepsOf(Op()) + StepList<step::SoftmaxCrossEntropy>() + FusedStepList() +
                       UpdateStepList() + ShardStepList() + SyncBatchNormStepList()));

struct StepOp : AnyStep {  // a struct for the sake of short names in messages and symbols
  using AnyStep::AnyStep;
};

}  // namespace ninc
