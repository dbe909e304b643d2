// What all fusions use.
#include "compile/fuse/fuse.h"

#include <utility>
#include <vector>

namespace ninc {

std::vector<int> CountReaders(const Program& program) {
  std::vector<int> readers(program.values.size());
  for (const Step& step : program.steps) {
    for (ValueId v : step.operands().reads) {
      if (v != kNoValue) ++readers[v];
    }
  }
  ++readers[program.output];
  return readers;
}

std::optional<Kernel> KernelOf(const Backend& backend, const Program& program, const StepOp& step) {
  Result<std::optional<Kernel>> kernel = backend.Compile(step, program.values);
  return kernel.ok() ? std::move(kernel).value() : std::nullopt;
}

void DropSteps(const std::vector<bool>& dropped, Program* program) {
  std::vector<Step> kept;
  for (size_t i = 0; i < program->steps.size(); ++i) {
    if (!dropped[i]) kept.push_back(std::move(program->steps[i]));
  }
  program->steps = std::move(kept);
  CountForwardSteps(program);
}

void CountForwardSteps(Program* program) {
  for (size_t i = 0; i < program->steps.size(); ++i) {
    if (std::holds_alternative<step::SoftmaxCrossEntropy>(program->steps[i].op)) {
      program->forward_steps = i;
    }
  }
}

}  // namespace ninc
