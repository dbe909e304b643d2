#include "run/step_run.h"

#include <optional>
#include <string>
#include <vector>

#include "base/threads/cancel.h"
#include "base/threads/float_mode.h"
#include "compile/execute.h"

namespace ninc {

Status RunStep(Backend& backend, const StepOp& step, const std::vector<StepArray>& arrays,
               int threads, RunArguments arguments) {
  const ScopedFloatMode mode;  // for what a kernel computes beside its regions
  Program program;
  const MemoryLayout layout;  // nothing lies in an arena
  const bool outside = arguments.x.data != nullptr || arguments.pictures.data != nullptr;
  for (const StepArray& array : arrays) {
    program.AddValue(
        {.kind = outside && array.data == nullptr ? ValueKind::kInput : ValueKind::kAddress,
         .shape = array.shape,
         .offset = reinterpret_cast<size_t>(array.data)});
  }
  NINC_ASSIGN_OR_RETURN(const std::optional<Kernel> kernel, backend.Compile(step, program.values));
  if (!kernel) return InvalidArgument(std::string(backend.name()) + " has no kernel for this step");
  std::vector<DeviceMemory> memory;
  const auto allocate = [&](const char* what, size_t bytes) -> Result<std::byte*> {
    NINC_ASSIGN_OR_RETURN(DeviceMemory block, backend.AllocateTemporary(what, bytes));
    memory.push_back(std::move(block));
    return memory.back().data();
  };
  const std::vector<ValueId> packed = PackedWeightsOf(step);
  for (size_t i = 0; i < packed.size(); ++i) {
    const Packing& packing = kernel->packings[i];
    size_t& place = program.values[packed[i]].offset;
    const auto* const weight = reinterpret_cast<const float*>(place);
    NINC_ASSIGN_OR_RETURN(std::byte* const to, allocate("packed weights", packing.bytes));
    NINC_RETURN_IF_ERROR(
        packing.make(backend, weight, nullptr, reinterpret_cast<float*>(to), threads));
    place = reinterpret_cast<size_t>(to);
  }
  NINC_ASSIGN_OR_RETURN(std::byte* const scratch,
                        allocate("scratch memory", kernel->scratch.Total(threads)));
  arguments.workspace = Workspace(scratch, kernel->scratch, threads);
  NINC_RETURN_IF_ERROR(kernel->run({program, layout, backend, arguments}));
  NINC_RETURN_IF_ERROR(backend.Synchronize());  // before the memory goes
  return IsCancelled() ? Cancelled() : Status();
}

}  // namespace ninc
