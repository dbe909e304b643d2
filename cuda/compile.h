// Steps to kernels on the GPU. There is an overload for every kind of step, so that a step without
// one does not compile; each is defined in the file of its operation. What follows from shapes is
// worked out when a step is compiled, what follows from addresses in each run, which only queues
// work on the stream. What 32-bit offsets do not reach is refused (InvalidShape).
#pragma once

#include <span>

#include "compile/kernel.h"
#include "compile/program.h"
#include "cuda/cuda_backend.h"

namespace ninc::cuda {

// What compiling a step looks at beside it.
struct CompileContext {
  std::span<const Value> values;
  const Shape& shape(ValueId v) const { return values[v].shape; }
};

// The stream that a run's work is queued on.
inline Stream& On(const Run& run) { return static_cast<CudaBackend&>(run.stream()).stream(); }

// Scratch memory of `count` values; only the part that threads share is used here.
template <typename T = float>
WorkspaceSize ScratchOf(int64_t count) {
  return {.shared = static_cast<size_t>(count) * sizeof(T)};
}

Compiled Compile(const step::FromNchw& step, const CompileContext& context);
Compiled Compile(const step::ToNchw& step, const CompileContext& context);
Compiled Compile(const step::CopyChannels& step, const CompileContext& context);

Compiled Compile(const step::Conv2d& step, const CompileContext& context);
Compiled Compile(const step::MlpConv& step, const CompileContext& context);
Compiled Compile(const step::Conv2dBackwardData& step, const CompileContext& context);
Compiled Compile(const step::Conv2dBackwardWeights& step, const CompileContext& context);

Compiled Compile(const step::MaxPool2d& step, const CompileContext& context);
Compiled Compile(const step::MaxPool2dBackward& step, const CompileContext& context);
Compiled Compile(const step::AvgPool2d& step, const CompileContext& context);
Compiled Compile(const step::AvgPool2dBackward& step, const CompileContext& context);
Compiled Compile(const step::GlobalAvgPool2d& step, const CompileContext& context);
Compiled Compile(const step::GlobalAvgPool2dBackward& step, const CompileContext& context);
Compiled Compile(const step::GlobalMaxPool2d& step, const CompileContext& context);
Compiled Compile(const step::GlobalMaxPool2dBackward& step, const CompileContext& context);

Compiled Compile(const step::FoldNorm& step, const CompileContext& context);
Compiled Compile(const step::ScaleShift& step, const CompileContext& context);
Compiled Compile(const step::BatchNorm& step, const CompileContext& context);
Compiled Compile(const step::BatchNormBackward& step, const CompileContext& context);
Compiled Compile(const step::BatchMoments& step, const CompileContext& context);
Compiled Compile(const step::NormalizeBatch& step, const CompileContext& context);
Compiled Compile(const step::BatchGradientSums& step, const CompileContext& context);
Compiled Compile(const step::BatchInputGradient& step, const CompileContext& context);

Compiled Compile(const step::ActivationForward& step, const CompileContext& context);
Compiled Compile(const step::ActivationBackward& step, const CompileContext& context);
Compiled Compile(const step::Elementwise& step, const CompileContext& context);
Compiled Compile(const step::ElementwiseBackward& step, const CompileContext& context);
Compiled Compile(const step::Dropout& step, const CompileContext& context);
Compiled Compile(const step::Add& step, const CompileContext& context);
Compiled Compile(const step::Binary& step, const CompileContext& context);
Compiled Compile(const step::SumTo& step, const CompileContext& context);
Compiled Compile(const step::PRelu& step, const CompileContext& context);
Compiled Compile(const step::PReluBackward& step, const CompileContext& context);
Compiled Compile(const step::Window& step, const CompileContext& context);
Compiled Compile(const step::ChannelShuffle& step, const CompileContext& context);
Compiled Compile(const step::LocalResponseNorm& step, const CompileContext& context);
Compiled Compile(const step::LocalResponseNormBackward& step, const CompileContext& context);
Compiled Compile(const step::Softmax& step, const CompileContext& context);
Compiled Compile(const step::SoftmaxBackward& step, const CompileContext& context);
Compiled Compile(const step::SoftmaxCrossEntropy& step, const CompileContext& context);

Compiled Compile(const step::SumOfSquares& step, const CompileContext& context);
Compiled Compile(const step::LimitGradients& step, const CompileContext& context);
Compiled Compile(const step::SgdUpdate& step, const CompileContext& context);
Compiled Compile(const step::CountUpdates& step, const CompileContext& context);
Compiled Compile(const step::AdamUpdate& step, const CompileContext& context);
Compiled Compile(const step::AverageUpdate& step, const CompileContext& context);
Compiled Compile(const step::CopyUpdated& step, const CompileContext& context);
Compiled Compile(const step::AddToShardSum& step, const CompileContext& context);
Compiled Compile(const step::AddResultToShardSum& step, const CompileContext& context);
Compiled Compile(const step::AddShardSums& step, const CompileContext& context);
Compiled Compile(const step::TakeFromShardSum& step, const CompileContext& context);
Compiled Compile(const step::TakeResultFromShardSum& step, const CompileContext& context);

// Fused steps that the GPU has no kernel for: fusion asks first and leaves the steps as they were.
inline Compiled None() { return std::optional<Kernel>(); }
inline Compiled Compile(const step::TrainingPool&, const CompileContext&) { return None(); }
inline Compiled Compile(const step::TrainingPoolBackward&, const CompileContext&) { return None(); }
inline Compiled Compile(const step::PointwiseBackward&, const CompileContext&) { return None(); }
inline Compiled Compile(const step::DepthwiseBackward&, const CompileContext&) { return None(); }
inline Compiled Compile(const step::NormConv2d&, const CompileContext&) { return None(); }
inline Compiled Compile(const step::Normalize&, const CompileContext&) { return None(); }
inline Compiled Compile(const step::NormBackward&, const CompileContext&) { return None(); }

}  // namespace ninc::cuda
