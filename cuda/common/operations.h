// Operations on the device, as the steps of compile/steps/steps.h say what they compute; pointers
// are the device's. Every function only queues work on the stream. What 32-bit offsets do not reach
// is refused (InvalidShape). Scratch memory comes in a Workspace of the size that the operation's
// *Workspace function gives; only its shared part is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "compile/layer_arrays.h"
#include "cuda/runtime/stream.h"
#include "ninc/backend.h"
#include "ninc/problem.h"
#include "ninc/status.h"
#include "ninc/tensor.h"

namespace ninc::cuda {

// Layout. N×C×H×W arrays of any strides in, contiguous N×C×H×W out; or pictures, N×H×W×C bytes.
Status FromNchw(Stream& stream, const Shape& shape, const StridedView& x, float* y);
Status ToNchw(Stream& stream, const Shape& shape, const float* x, float* y);
Status FromUint8(Stream& stream, const Shape& shape, const uint8_t* x, const float* scale,
                 const float* shift, float* y);

// Element by element. dbias(c) is the sum over rows of dx(row, c), unless it is null.
Status ActivationForward(Stream& stream, int64_t count, Activation activation, const float* x,
                         float* y);
WorkspaceSize ActivationBackwardWorkspace(int64_t rows, int64_t channels);
Status ActivationBackward(Stream& stream, int64_t rows, int64_t channels, Activation activation,
                          const float* dy, const float* y, float* dx, float* dbias,
                          const Workspace& workspace);
Status Dropout(Stream& stream, int64_t count, float p, uint32_t layer, const DropoutKey* key,
               const float* x, float* y);
Status Add(Stream& stream, int64_t count, const float* a, const float* b, Activation activation,
           float* y);
Status CopyChannels(Stream& stream, int64_t rows, int64_t channels, const float* x,
                    int64_t x_stride, int64_t x_offset, float* y, int64_t y_stride,
                    int64_t y_offset);

// Pools. x, dx: N×H×W×C; y, dy: N×P×Q×C.
// InvalidShape where positions within one picture leave 32 bits.
Status CheckPictures(const Pool2dProblem& problem);
Status MaxPool2dForward(Stream& stream, const Pool2dProblem& problem, const float* x, float* y);
Status MaxPool2dBackward(Stream& stream, const Pool2dProblem& problem, const float* dy,
                         const float* x, float* dx);
Status AvgPool2dForward(Stream& stream, const Pool2dProblem& problem, const float* x, float* y);
Status AvgPool2dBackward(Stream& stream, const Pool2dProblem& problem, const float* dy, float* dx);
Status GlobalAvgPool2dForward(Stream& stream, const Shape& input, const float* x, float* y);
Status GlobalAvgPool2dBackward(Stream& stream, const Shape& input, const float* dy, float* dx);

// Batch normalisation of rows×channels.
Status FoldNorm(Stream& stream, int64_t channels, const StillNorm& norm, float* scale,
                float* shift);
Status ScaleShift(Stream& stream, int64_t rows, int64_t channels, const float* x,
                  const float* scale, const float* shift, Activation activation, float* y);
WorkspaceSize BatchNormWorkspace(int64_t rows, int64_t channels);
Status BatchNormForward(Stream& stream, int64_t rows, int64_t channels, const float* x,
                        const float* weight, const float* bias, float eps, float momentum,
                        Activation activation, float* running_mean, float* running_var,
                        float* save_mean, float* save_inv_std, float* y,
                        const Workspace& workspace);
Status BatchNormBackward(Stream& stream, int64_t rows, int64_t channels, const float* dy,
                         const float* x, const float* y, Activation activation, const float* weight,
                         const float* save_mean, const float* save_inv_std, float* dx,
                         float* dweight, float* dbias, const Workspace& workspace);

// Softmax over channels, and the loss.
Status SoftmaxForward(Stream& stream, int64_t rows, int64_t channels, const float* x, float* y);
Status SoftmaxBackward(Stream& stream, int64_t rows, int64_t channels, const float* dy,
                       const float* y, float* dx);
WorkspaceSize SoftmaxCrossEntropyWorkspace(int64_t rows);
Status SoftmaxCrossEntropy(Stream& stream, int64_t rows, int64_t channels, const float* logits,
                           const int64_t* labels, float smoothing, float* loss, int64_t* correct,
                           float* dlogits, const Workspace& workspace);

// What a training step does with its gradients.
WorkspaceSize SumOfSquaresWorkspace(int64_t count);
Status SumOfSquares(Stream& stream, int64_t count, const float* x, double* sum,
                    const Workspace& workspace);
Status LimitGradients(Stream& stream, int64_t count, const double* sums, StepState* state);
Status SgdUpdate(Stream& stream, int64_t count, const StepState* state,
                 const ParameterUpdate* update, const float* gradient, float* velocity,
                 float* weight);
Status AverageUpdate(Stream& stream, int64_t count, const StepState* state, const float* weight,
                     float* average);
Status CopyUpdated(Stream& stream, int64_t count, const StepState* state, const float* x, float* y);

// Convolutions.
size_t PackedWeightBytes(const Conv2dProblem& problem, Pass pass);
Status PackWeights(Stream& stream, const Conv2dProblem& problem, Pass pass, const float* weight,
                   const float* scale, float* packed);
WorkspaceSize Conv2dWorkspace(const Conv2dProblem& problem, Pass pass);
std::string Conv2dAlgorithm(const Conv2dProblem& problem, Pass pass);

// y(n,p,q,k) = activation(bias(k) + sum_rsc x(n, p*stride + r*dil - pad, ..., c) * weight(k,c,r,s))
Status Conv2dForward(Stream& stream, const Conv2dProblem& problem, const float* x,
                     const float* packed, const float* bias, Activation activation, float* y);
// dx(n,h,w,c) = sum of dy(n,p,q,k) * weight(k,c,r,s) over all p, q, r, s, k that read it; 0 where
// the activation that gave x stopped what it was given (x may be null).
Status Conv2dBackwardData(Stream& stream, const Conv2dProblem& problem, const float* dy,
                          const float* packed, const float* x, Activation activation, float* dx);
// dweight(k,c,r,s) = sum_npq dy(n,p,q,k) * x(n, p*stride + r*dil - pad, ..., c), dbias(k) = sum_npq
// dy(n,p,q,k) unless null.
Status Conv2dBackwardWeights(Stream& stream, const Conv2dProblem& problem, const float* x,
                             const float* dy, float* dweight, float* dbias,
                             const Workspace& workspace);

// y = activation_L(conv_L(... activation_1(conv_1(x)))): a chain up to its tail, which the caller
// runs on *map. Where there is no tail, *map is y; else it lies in the workspace, or where the last
// layer's output is kept.
WorkspaceSize MlpConvWorkspace(const MlpConvProblem& problem);
Status MlpConvForward(Stream& stream, const MlpConvProblem& problem, const float* x,
                      const MlpConvLayer* layers, float* y, const Workspace& workspace,
                      const float** map);

}  // namespace ninc::cuda
