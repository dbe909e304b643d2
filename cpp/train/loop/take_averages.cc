// The averages in the place of the last weights.
#include <utility>

#include "ninc/training.h"
#include "run/model_impl.h"

namespace ninc {
namespace {

using Values = std::vector<std::pair<std::string, std::vector<float>>>;

Result<Values> Statistics(const Model& model) {
  NINC_ASSIGN_OR_RETURN(const ModelState state, model.State());
  Values values;
  for (size_t i = 0; i < model.specs().size(); ++i) {
    if (model.specs()[i].trainable) continue;
    values.emplace_back(model.specs()[i].name, state.parameters[i]->data);
  }
  return values;
}

// Momenta 1, 1/2, 1/3, ... leave the mean over the batches.
Status Estimate(Trainer& trainer, ShuffledBatches& batches, int64_t most) {
  for (int64_t i = 0; i < most; ++i) {
    const Batch* batch = batches.Next();
    if (batch == nullptr) break;
    const auto momentum = static_cast<float>(1.0 / static_cast<double>(i + 1));
    NINC_RETURN_IF_ERROR(trainer.EstimateStatistics(batch->shape, batch->x, momentum));
  }
  return {};
}

}  // namespace

Status TakeAverages(Model& model, Trainer& trainer, ShuffledBatches batches, int64_t norm_batches) {
  if (norm_batches < 1) {
    return InvalidArgument("norm_batches must be at least 1, got " + std::to_string(norm_batches));
  }
  return CatchOutOfMemory("averages", [&]() -> Status {
    NINC_ASSIGN_OR_RETURN(const Values before, Statistics(model));
    NINC_RETURN_IF_ERROR(trainer.SwapAverages());
    if (before.empty()) return {};  // no batch norm, nothing to estimate
    const Status estimated = Estimate(trainer, batches, norm_batches);
    if (estimated.ok()) return {};
    NINC_RETURN_IF_ERROR(trainer.SwapAverages());
    NINC_RETURN_IF_ERROR(model.SetParameters(before));
    return estimated;
  });
}

}  // namespace ninc
