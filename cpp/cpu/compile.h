// Steps to kernels on the processor: all that it computes. There is an overload for every kind of
// step, so that a step without one does not compile. Each is defined at the end of its kernel's
// file, in the room it stands under here.
#pragma once

#include "cpu/norm/batch_norm.h"
#include "cpu/simd/context.h"

namespace ninc::cpu {

// conv2d/ and fused/
Compiled Compile(const step::Conv2d& step, const Context& context);
Compiled Compile(const step::MlpConv& step, const Context& context);
Compiled Compile(const step::NormConv2d& step, const Context& context);
Compiled Compile(const step::Conv2dBackwardData& step, const Context& context);
Compiled Compile(const step::Conv2dBackwardWeights& step, const Context& context);
Compiled Compile(const step::PointwiseBackward& step, const Context& context);

// pool/
Compiled Compile(const step::MaxPool2d& step, const Context& context);
Compiled Compile(const step::MaxPool2dBackward& step, const Context& context);
Compiled Compile(const step::AvgPool2d& step, const Context& context);
Compiled Compile(const step::AvgPool2dBackward& step, const Context& context);
Compiled Compile(const step::GlobalAvgPool2d& step, const Context& context);
Compiled Compile(const step::GlobalAvgPool2dBackward& step, const Context& context);
Compiled Compile(const step::GlobalMaxPool2d& step, const Context& context);
Compiled Compile(const step::GlobalMaxPool2dBackward& step, const Context& context);
Compiled Compile(const step::TrainingPool& step, const Context& context);
Compiled Compile(const step::TrainingPoolBackward& step, const Context& context);

// norm/
Compiled Compile(const step::FoldNorm& step, const Context& context);
Compiled Compile(const step::ScaleShift& step, const Context& context);
Compiled Compile(const step::BatchNorm& step, const Context& context);
Compiled Compile(const step::BatchNormBackward& step, const Context& context);
Compiled Compile(const step::Normalize& step, const Context& context);
Compiled Compile(const step::NormBackward& step, const Context& context);

// elementwise/
Compiled Compile(const step::FromNchw& step, const Context& context);
Compiled Compile(const step::ToNchw& step, const Context& context);
Compiled Compile(const step::CopyChannels& step, const Context& context);
Compiled Compile(const step::ActivationForward& step, const Context& context);
Compiled Compile(const step::ActivationBackward& step, const Context& context);
Compiled Compile(const step::Dropout& step, const Context& context);
Compiled Compile(const step::Add& step, const Context& context);
Compiled Compile(const step::SumOfSquares& step, const Context& context);
Compiled Compile(const step::LimitGradients& step, const Context& context);
Compiled Compile(const step::SgdUpdate& step, const Context& context);
Compiled Compile(const step::AverageUpdate& step, const Context& context);
Compiled Compile(const step::CopyUpdated& step, const Context& context);

// softmax/
Compiled Compile(const step::Softmax& step, const Context& context);
Compiled Compile(const step::SoftmaxBackward& step, const Context& context);
Compiled Compile(const step::SoftmaxCrossEntropy& step, const Context& context);

// Never asked for: execute.cc makes its kernel of the Packing of the step that reads the weights.
inline Compiled Compile(const step::PackWeights&, const Context&) {
  return std::optional<Kernel>();
}

}  // namespace ninc::cpu
