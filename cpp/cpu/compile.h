// Steps to kernels on the processor: all that it computes. There is an overload for every kind of
// step, so that a step without one does not compile. Each is defined at the end of its kernel's
// file, in the room it stands under here.
#pragma once

#include "cpu/compile_context.h"

namespace ninc::cpu {

// conv2d/ and fused/
Compiled Compile(const step::Conv2d& step, const CompileContext& context);
Compiled Compile(const step::MlpConv& step, const CompileContext& context);
Compiled Compile(const step::NormConv2d& step, const CompileContext& context);
Compiled Compile(const step::Conv2dBackwardData& step, const CompileContext& context);
Compiled Compile(const step::Conv2dBackwardWeights& step, const CompileContext& context);
Compiled Compile(const step::PointwiseBackward& step, const CompileContext& context);
Compiled Compile(const step::DepthwiseBackward& step, const CompileContext& context);

// pool/
Compiled Compile(const step::MaxPool2d& step, const CompileContext& context);
Compiled Compile(const step::MaxPool2dBackward& step, const CompileContext& context);
Compiled Compile(const step::AvgPool2d& step, const CompileContext& context);
Compiled Compile(const step::AvgPool2dBackward& step, const CompileContext& context);
Compiled Compile(const step::GlobalAvgPool2d& step, const CompileContext& context);
Compiled Compile(const step::GlobalAvgPool2dBackward& step, const CompileContext& context);
Compiled Compile(const step::GlobalMaxPool2d& step, const CompileContext& context);
Compiled Compile(const step::GlobalMaxPool2dBackward& step, const CompileContext& context);
Compiled Compile(const step::TrainingPool& step, const CompileContext& context);
Compiled Compile(const step::TrainingPoolBackward& step, const CompileContext& context);

// norm/
Compiled Compile(const step::FoldNorm& step, const CompileContext& context);
Compiled Compile(const step::ScaleShift& step, const CompileContext& context);
Compiled Compile(const step::BatchNorm& step, const CompileContext& context);
Compiled Compile(const step::BatchNormBackward& step, const CompileContext& context);
Compiled Compile(const step::Normalize& step, const CompileContext& context);
Compiled Compile(const step::NormBackward& step, const CompileContext& context);
Compiled Compile(const step::BatchMoments& step, const CompileContext& context);
Compiled Compile(const step::NormalizeBatch& step, const CompileContext& context);
Compiled Compile(const step::BatchGradientSums& step, const CompileContext& context);
Compiled Compile(const step::BatchInputGradient& step, const CompileContext& context);

// elementwise/
Compiled Compile(const step::FromNchw& step, const CompileContext& context);
Compiled Compile(const step::ToNchw& step, const CompileContext& context);
Compiled Compile(const step::CopyChannels& step, const CompileContext& context);
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

// softmax/
Compiled Compile(const step::Softmax& step, const CompileContext& context);
Compiled Compile(const step::SoftmaxBackward& step, const CompileContext& context);
Compiled Compile(const step::SoftmaxCrossEntropy& step, const CompileContext& context);

}  // namespace ninc::cpu
