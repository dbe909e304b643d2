// Compiling steps one by one, with what packs their weights, and running kernels one by one.
#include "compile/execute.h"

#include <string>
#include <utility>

#include "base/threads/cancel.h"
#include "base/threads/float_mode.h"
#include "base/threads/timeline.h"

namespace ninc {
namespace {

// Makes room for packed weights as their reader wants them.
void Settle(ValueId packed, const Packing& packing, Program* program) {
  const Value& value = program->values[packed];
  if (value.kind == ValueKind::kPrepared) {
    program->prepared[value.index].packing = packing;
    program->PlacePrepared(value.index, packing.bytes);
  }
  program->values[packed].bytes = packing.bytes;
}

Kernel PackingKernel(const step::PackWeights& step, const Packing& packing) {
  return {[step, make = packing.make](const Run& run) -> Status {
    if (run.arguments().weights_are_packed) return {};
    return make(run.stream(), run.In(step.weight), nullptr, run.Out(step.packed), run.threads());
  }};
}

// Without times.
void AddSteps(std::span<const Kernel> kernels, Timeline* timeline) {
  for (const Kernel& kernel : kernels) {
    TimelineStep& step = timeline->emplace_back();
    step.kind = kernel.kind;
    step.layers = kernel.layers;
    step.flops = kernel.Flops();
    for (const ConvolutionChoice& choice : kernel.convolutions) {
      step.algorithms.push_back(choice.algorithm);
    }
  }
}

// All steps are there before the first one runs, so that nothing of the recording but two looks at
// the clock lies between one and the next. Those that an error leaves out are taken away again.
Status ExecuteRecorded(std::span<const Kernel> kernels, const Run& run, Timeline* timeline) {
  size_t next = timeline->size();
  AddSteps(kernels, timeline);
  for (const Kernel& kernel : kernels) {
    Status status;
    {
      const RecordStep record(&(*timeline)[next++]);
      status = kernel.run(run);
    }
    if (status.ok() && IsCancelled()) status = Cancelled();
    if (!status.ok()) {
      timeline->resize(next);
      return status;
    }
  }
  return {};
}

}  // namespace

std::vector<ValueId> PackedWeightsOf(const StepOp& step) {
  std::vector<ValueId> packed;
  std::visit(
      [&](const auto& op) {
        if constexpr (requires { op.packed; }) packed.push_back(op.packed);
        if constexpr (requires { op.layers; }) {
          for (const auto& layer : op.layers) packed.push_back(layer.packed);
        }
      },
      step);
  return packed;
}

Result<std::vector<Kernel>> CompileSteps(const Backend& backend, const Graph& graph,
                                         const std::vector<Step>& steps, Program* program) {
  std::vector<Kernel> kernels(steps.size());
  std::vector<Packing> packings(program->values.size());  // by value
  const auto failed = [&](const Step& step, const Status& status) {
    return step.nodes.empty() ? status : status.At(graph.Label(step.nodes.front()));
  };
  for (size_t i = 0; i < kernels.size(); ++i) {
    const StepOp& op = steps[i].op;
    if (std::holds_alternative<step::PackWeights>(op)) continue;
    Result<std::optional<Kernel>> compiled = backend.Compile(op, program->values);
    if (!compiled.ok()) return failed(steps[i], compiled.status());
    const std::vector<ValueId> packed = PackedWeightsOf(op);
    // Every backend has a kernel for an MlpConv, and other fused steps were compiled on trial
    // before they were made, so that none should be missing here. A kernel has one packing for each
    // value of packed weights that its step reads.
    if (!*compiled || (*compiled)->packings.size() != packed.size()) {
      return failed(steps[i], DeviceFailure("no kernel of " + std::string(backend.name()) +
                                            " computes this step"));
    }
    kernels[i] = std::move(**compiled);
    for (size_t j = 0; j < packed.size(); ++j) {
      packings[packed[j]] = kernels[i].packings[j];
      Settle(packed[j], kernels[i].packings[j], program);
    }
  }
  for (size_t i = 0; i < kernels.size(); ++i) {
    const auto* pack = std::get_if<step::PackWeights>(&steps[i].op);
    if (pack == nullptr) continue;
    if (!packings[pack->packed].make) {
      return failed(steps[i], DeviceFailure("nobody reads these packed weights"));
    }
    kernels[i] = PackingKernel(*pack, packings[pack->packed]);
  }
  for (size_t i = 0; i < kernels.size(); ++i) {
    kernels[i].kind = std::visit([](const auto& op) { return op.summary().name; }, steps[i].op);
    for (const NodeId node : steps[i].nodes) kernels[i].layers.push_back(graph.node(node).name);
  }
  return kernels;
}

WorkspaceSize LargestWorkspace(const std::vector<Kernel>& kernels) {
  WorkspaceSize size;
  for (const Kernel& kernel : kernels) size = size.Max(kernel.scratch);
  return size;
}

Status Execute(std::span<const Kernel> kernels, const Run& run) {
  const ScopedFloatMode mode;  // for what a kernel computes beside its regions
  Timeline* const timeline = CurrentTimeline();
  if (timeline != nullptr) return ExecuteRecorded(kernels, run, timeline);
  for (const Kernel& kernel : kernels) {
    NINC_RETURN_IF_ERROR(kernel.run(run));
    // After each kernel, since the last one may have been cut short as well.
    if (IsCancelled()) return Cancelled();
  }
  return {};
}

}  // namespace ninc
