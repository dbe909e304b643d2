// Joins steps that are faster as one. The order of fusions matters, see plan/plan.cc.
#pragma once

#include <cstddef>
#include <optional>
#include <variant>
#include <vector>

#include "compile/kernel.h"
#include "compile/program.h"

namespace ninc {

// By value: how many steps read it, or the caller does.
std::vector<int> CountReaders(const Program& program);

// The step of this number, where there is one and it is of this kind; else null.
template <typename Op>
const Op* StepAt(const Program& program, size_t index) {
  return index < program.steps.size() ? std::get_if<Op>(&program.steps[index].op) : nullptr;
}

// The kernel that the backend has for a step of the program's values, none where it has none. Steps
// that are compiled on trial like this may leave values out that their kernel does not look at.
std::optional<Kernel> KernelOf(const Backend& backend, const Program& program, const StepOp& step);

// Takes these steps, by number, out of the program.
void DropSteps(const std::vector<bool>& dropped, Program* program);

// Sets program->forward_steps, which end at the loss, after steps have been joined.
void CountForwardSteps(Program* program);

// Parts each step::BatchNorm and step::BatchNormBackward as steps/sync_batch_norm.h has it, for
// shards that are normalised together.
void PartBatchNorms(Program* program);

// A training step's pool and the dropout that follows it become one step::TrainingPool; their
// gradients, with that of the activation that gave the pool's input, one
// step::TrainingPoolBackward. Both where the backend has kernels for them. Results stay the same to
// the bit.
void FuseTrainingPools(const Backend& backend, Program* program);

// A convolution, the 1×1 convolutions that follow it and, where nobody else reads their output, the
// pool that follows those become one step::MlpConv. Every backend has a kernel for chains whose
// convolutions have one group; a depthwise one begins a chain where 1×1 convolutions follow it and
// the backend has a kernel for both. Results stay the same to the bit.
void FuseMlpConvs(const Backend& backend, Program* program);

// The gradient of an activation goes into the data gradient that it masks, a bias's into the weight
// gradient that reads the same dy.
void FuseGradients(Program* program);

// Batch norms that follow convolutions become parts of the steps around them where the backend has
// kernels for that: NormConv2d takes their statistics, and a 1×1 convolution that alone reads one's
// result normalises for itself, forward and backward, so that the result has no memory.
void FuseBatchNorms(const Backend& backend, Program* program);

// Both gradients of 1×1 convolutions in a row become one step::PointwiseBackward where the backend
// has a kernel for it.
void FusePointwiseGradients(const Backend& backend, Program* program);

}  // namespace ninc
