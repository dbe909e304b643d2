#include "graph/prepared.h"

#include <cmath>
#include <utility>

#include "base/memory_limit.h"
#include "base/thread_pool.h"

namespace ninc {
namespace {

// Batch norm with its statistics fixed: y = x * scale + shift,
//     scale(c) = weight(c) / sqrt(running_var(c) + eps)
//     shift(c) = bias(c) - running_mean(c) * scale(c)
// in double, since it is done once and its errors would meet every pixel.
void FoldNorm(const NormParameters& norm, const std::vector<Tensor>& parameters,
              std::vector<float>* scale, std::vector<float>* shift) {
  const std::vector<float>& weight = parameters[norm.weight].data;
  const size_t channels = weight.size();
  scale->resize(channels);
  shift->resize(channels);
  for (size_t c = 0; c < channels; ++c) {
    const double variance = parameters[norm.running_var].data[c];
    const double factor = weight[c] / std::sqrt(variance + norm.eps);
    (*scale)[c] = static_cast<float>(factor);
    (*shift)[c] = static_cast<float>(parameters[norm.bias].data[c] -
                                     parameters[norm.running_mean].data[c] * factor);
  }
}

// conv(x) * scale + shift with conv's own bias: (bias + conv'(x)) * scale + shift.
void FoldBias(const float* bias, const std::vector<float>& scale, const std::vector<float>& shift,
              float* folded) {
  for (size_t k = 0; k < scale.size(); ++k) {
    folded[k] = bias == nullptr ? shift[k] : bias[k] * scale[k] + shift[k];
  }
}

}  // namespace

PreparedCache::Key PreparedCache::KeyFor(const Prepared& prepared, const Backend& backend) {
  return {prepared.weight,
          prepared.bias,
          prepared.norm ? prepared.norm->weight : -1,
          prepared.problem ? backend.Conv2dAlgorithm(*prepared.problem, Pass::kForward) : "",
          prepared.bytes,
          ChosenTarget()};
}

Result<std::shared_ptr<const PreparedBlock>> PreparedCache::MakeBlock(
    const Prepared& prepared, const std::vector<Tensor>& parameters, uint64_t version,
    Backend& backend) {
  NINC_ASSIGN_OR_RETURN(AlignedBuffer memory, Allocate("packed weights", prepared.bytes));
  float* const first = memory.as<float>();
  float* const second = reinterpret_cast<float*>(memory.data() + prepared.second);
  std::vector<float> scale, shift;
  if (prepared.norm) FoldNorm(*prepared.norm, parameters, &scale, &shift);
  if (prepared.problem) {
    const float* bias = prepared.bias < 0 ? nullptr : parameters[prepared.bias].data.data();
    NINC_RETURN_IF_ERROR(backend.PackWeights(
        *prepared.problem, Pass::kForward, parameters[prepared.weight].data.data(),
        prepared.norm ? scale.data() : nullptr, first, GetNumThreads()));
    if (prepared.norm) {
      FoldBias(bias, scale, shift, second);
    } else if (bias != nullptr) {
      std::copy_n(bias, prepared.problem->out_channels, second);
    }
  } else {
    std::copy(scale.begin(), scale.end(), first);
    std::copy(shift.begin(), shift.end(), second);
  }
  return std::shared_ptr<const PreparedBlock>(
      std::make_shared<PreparedBlock>(std::move(memory), version, live_bytes_));
}

Result<std::shared_ptr<const PreparedSet>> PreparedCache::Make(
    const Program& program, const std::vector<Tensor>& parameters, uint64_t version,
    Backend& backend) {
  std::erase_if(blocks_, [](const auto& entry) { return entry.second.expired(); });
  auto set = std::make_shared<PreparedSet>();
  set->version = version;
  for (const Prepared& prepared : program.prepared) {
    std::weak_ptr<const PreparedBlock>& known = blocks_[KeyFor(prepared, backend)];
    std::shared_ptr<const PreparedBlock> block = known.lock();
    if (block == nullptr || block->version() != version) {
      NINC_ASSIGN_OR_RETURN(block, MakeBlock(prepared, parameters, version, backend));
      known = block;
    }
    set->blocks.push_back(std::move(block));
  }
  return std::shared_ptr<const PreparedSet>(std::move(set));
}

}  // namespace ninc
