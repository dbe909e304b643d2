// A block of weights is known by what went into it and by the algorithm that reads it: plans for
// other batches share it where they take the same algorithm. Blocks live as long as a plan's set
// holds them.
#include "graph/prepared.h"

#include <cmath>
#include <utility>

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
    const Prepared& prepared, const DeviceTensors& parameters, uint64_t version, Backend& backend) {
  constexpr const char* kWhat = "packed weights";
  NINC_ASSIGN_OR_RETURN(DeviceMemory memory, backend.Allocate(kWhat, prepared.bytes));
  float* const first = memory.as();
  float* const second = memory.as(prepared.second);
  const auto write = [&](const float* values, size_t count, float* to) {
    return backend.Write(to, values, count * sizeof(float));
  };
  const std::vector<Tensor>& host = parameters.host();
  std::vector<float> scale, shift;
  if (prepared.norm) FoldNorm(*prepared.norm, host, &scale, &shift);
  if (prepared.problem) {
    DeviceMemory scale_memory;  // until the weights are packed
    if (prepared.norm) {
      NINC_ASSIGN_OR_RETURN(scale_memory, backend.Allocate(kWhat, scale.size() * sizeof(float)));
      NINC_RETURN_IF_ERROR(write(scale.data(), scale.size(), scale_memory.as()));
    }
    NINC_RETURN_IF_ERROR(backend.PackWeights(*prepared.problem, Pass::kForward,
                                             parameters.data(prepared.weight), scale_memory.as(),
                                             first, backend.Threads()));
    const float* bias = prepared.bias < 0 ? nullptr : host[prepared.bias].data.data();
    const auto channels = static_cast<size_t>(prepared.problem->out_channels);
    if (prepared.norm) {
      std::vector<float> folded(channels);
      FoldBias(bias, scale, shift, folded.data());
      NINC_RETURN_IF_ERROR(write(folded.data(), channels, second));
    } else if (bias != nullptr) {
      NINC_RETURN_IF_ERROR(write(bias, channels, second));
    }
    NINC_RETURN_IF_ERROR(backend.Synchronize());
  } else {
    NINC_RETURN_IF_ERROR(write(scale.data(), scale.size(), first));
    NINC_RETURN_IF_ERROR(write(shift.data(), shift.size(), second));
    NINC_RETURN_IF_ERROR(backend.Synchronize());
  }
  return std::shared_ptr<const PreparedBlock>(
      std::make_shared<PreparedBlock>(std::move(memory), version, live_bytes_));
}

Result<std::shared_ptr<const PreparedSet>> PreparedCache::Make(const Program& program,
                                                               const DeviceTensors& parameters,
                                                               uint64_t version, Backend& backend) {
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
