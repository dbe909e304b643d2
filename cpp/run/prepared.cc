// A block of weights is known by what went into it and by the algorithm that reads it: plans for
// other batches share it where they take the same algorithm. Blocks live as long as a plan's set
// holds them.
#include "run/prepared.h"

#include <utility>

#include "base/threads/float_mode.h"
#include "run/step_run.h"

namespace ninc {

PreparedCache::Key PreparedCache::KeyFor(const Prepared& prepared) {
  return {prepared.weight, prepared.bias, prepared.norm ? prepared.norm->weight : -1,
          prepared.packing.layout, prepared.bytes};
}

Result<std::shared_ptr<const PreparedBlock>> PreparedCache::MakeBlock(
    const Prepared& prepared, const DeviceTensors& parameters, uint64_t version, Backend& backend) {
  constexpr const char* kWhat = "packed weights";
  const ScopedFloatMode mode;  // whoever comes first makes them for all
  NINC_ASSIGN_OR_RETURN(DeviceMemory memory, backend.Allocate(kWhat, prepared.bytes));
  float* const first = memory.as();
  float* const second = memory.as(prepared.second_offset);
  const auto data = [&](int32_t number) { return number < 0 ? nullptr : parameters.data(number); };
  DeviceMemory scale_memory;  // until the weights are packed
  float* scale = prepared.convolution ? nullptr : first;
  const Shape row{1, 1, 1, prepared.channels};
  const size_t row_bytes = static_cast<size_t>(prepared.channels) * sizeof(float);
  if (prepared.norm) {
    const NormParameters& norm = *prepared.norm;
    if (prepared.convolution) {
      NINC_ASSIGN_OR_RETURN(scale_memory, backend.Allocate(kWhat, row_bytes));
      scale = scale_memory.as();
    }
    step::FoldNorm fold{.eps = norm.eps,
                        .weight = 0,
                        .bias = 1,
                        .mean = 2,
                        .var = 3,
                        .scale = 4,
                        .shift = 5,
                        .offset = 6};
    if (prepared.bias < 0) fold.offset = kNoValue;
    NINC_RETURN_IF_ERROR(RunStep(backend, fold,
                                 {{row, data(norm.weight)},
                                  {row, data(norm.bias)},
                                  {row, data(norm.running_mean)},
                                  {row, data(norm.running_var)},
                                  {row, scale},
                                  {row, second},
                                  {row, data(prepared.bias)}},
                                 backend.Threads()));
  } else if (!prepared.convolution) {
    const std::vector<float>& values = parameters.host(prepared.weight).data;
    NINC_RETURN_IF_ERROR(backend.Write(first, values.data(), values.size() * sizeof(float)));
  } else if (prepared.bias >= 0) {
    const std::vector<float>& bias = parameters.host(prepared.bias).data;
    NINC_RETURN_IF_ERROR(backend.Write(second, bias.data(), row_bytes));
  }
  if (prepared.convolution) {
    NINC_RETURN_IF_ERROR(
        prepared.packing.make(backend, data(prepared.weight), scale, first, backend.Threads()));
  }
  NINC_RETURN_IF_ERROR(backend.Synchronize());
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
    std::weak_ptr<const PreparedBlock>& known = blocks_[KeyFor(prepared)];
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
