// Out of line what every Compile of every step would otherwise hold a copy of.
#include "compile/kernel.h"

#include <utility>

namespace ninc {

float* Run::Out(ValueId v) const {
  if (v == kNoValue) return nullptr;
  const Value& value = program_.values[v];
  switch (value.kind) {
    case ValueKind::kInput:  // where that is, arguments().x tells, strides included
      return nullptr;
    case ValueKind::kOutput:
      if (arguments_.outputs != nullptr) return arguments_.outputs[value.index];
      return reinterpret_cast<float*>(arguments_.output_memory + value.offset);
    case ValueKind::kArena:
      return reinterpret_cast<float*>(arguments_.arena + layout_.offsets[v]);
    case ValueKind::kParameter:
      return arguments_.parameters->data(value.index);
    case ValueKind::kOptimizerState:
      return arguments_.optimizer_state->data(value.index);
    case ValueKind::kAverage:
      return arguments_.averages->data(value.index);
    case ValueKind::kPrepared:
      return reinterpret_cast<float*>(arguments_.prepared->blocks[value.index]->data() +
                                      value.offset);
    case ValueKind::kAddress:
      return reinterpret_cast<float*>(value.offset);
  }
  return nullptr;
}

Kernel::Kernel(const WorkspaceSize& memory, std::function<Status(const Run&)> what)
    : run(std::move(what)), scratch(memory) {}
Kernel::Kernel(Kernel&&) noexcept = default;
Kernel& Kernel::operator=(Kernel&&) noexcept = default;
Kernel::~Kernel() = default;

double Kernel::Flops() const {
  double flops = 0;
  for (const ConvolutionChoice& choice : convolutions) flops += choice.flops;
  return flops;
}

Compiled::Compiled(Kernel kernel) : Result(std::optional<Kernel>(std::move(kernel))) {}

}  // namespace ninc
