// A block of weights is known by what went into it and by the algorithm that reads it: plans for
// other batches share it where they take the same algorithm. Blocks live as long as a plan's set
// holds them.
#include "graph/prepared.h"

#include <utility>

namespace ninc {

PreparedCache::Key PreparedCache::KeyFor(const Prepared& prepared, const Backend& backend,
                                         Target target) {
  return {prepared.weight,
          prepared.bias,
          prepared.norm ? prepared.norm->weight : -1,
          prepared.problem ? backend.Conv2dAlgorithm(*prepared.problem, Pass::kForward) : "",
          prepared.bytes,
          target};
}

Result<std::shared_ptr<const PreparedBlock>> PreparedCache::MakeBlock(
    const Prepared& prepared, const DeviceTensors& parameters, uint64_t version, Backend& backend) {
  constexpr const char* kWhat = "packed weights";
  NINC_ASSIGN_OR_RETURN(DeviceMemory memory, backend.Allocate(kWhat, prepared.bytes));
  float* const first = memory.as();
  float* const second = memory.as(prepared.second);
  const auto data = [&](int32_t number) { return number < 0 ? nullptr : parameters.data(number); };
  DeviceMemory scale_memory;  // until the weights are packed
  float* scale = prepared.problem ? nullptr : first;
  if (prepared.norm) {
    const NormParameters& norm = *prepared.norm;
    const size_t channels = parameters.host()[norm.weight].data.size();
    if (prepared.problem) {
      NINC_ASSIGN_OR_RETURN(scale_memory, backend.Allocate(kWhat, channels * sizeof(float)));
      scale = scale_memory.as();
    }
    NINC_RETURN_IF_ERROR(backend.FoldNorm(static_cast<int64_t>(channels),
                                          {.weight = data(norm.weight),
                                           .bias = data(norm.bias),
                                           .mean = data(norm.running_mean),
                                           .var = data(norm.running_var),
                                           .eps = norm.eps,
                                           .offset = data(prepared.bias)},
                                          scale, second));
  } else if (prepared.bias >= 0) {
    const std::vector<float>& bias = parameters.host()[prepared.bias].data;
    NINC_RETURN_IF_ERROR(backend.Write(second, bias.data(), bias.size() * sizeof(float)));
  }
  if (prepared.problem) {
    NINC_RETURN_IF_ERROR(backend.PackWeights(
        *prepared.problem, Pass::kForward, data(prepared.weight), scale, first, backend.Threads()));
  }
  NINC_RETURN_IF_ERROR(backend.Synchronize());
  return std::shared_ptr<const PreparedBlock>(
      std::make_shared<PreparedBlock>(std::move(memory), version, live_bytes_));
}

Result<std::shared_ptr<const PreparedSet>> PreparedCache::Make(const Program& program,
                                                               const DeviceTensors& parameters,
                                                               uint64_t version, Backend& backend,
                                                               Target target) {
  std::erase_if(blocks_, [](const auto& entry) { return entry.second.expired(); });
  auto set = std::make_shared<PreparedSet>();
  set->version = version;
  for (const Prepared& prepared : program.prepared) {
    std::weak_ptr<const PreparedBlock>& known = blocks_[KeyFor(prepared, backend, target)];
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
