// What a device offers: memory and a dozen operations, forward and backward. The CPU implements
// them in cpp/kernels/, CUDA in cuda/, under the same names.
//
// Conventions for every operation
//   - Activations are N×H×W×C, or rows×channels where the pixels' arrangement does not matter.
//   - Outputs are written (=), never added to. dx may be dy's own memory where a comment says
//     "in place".
//   - Arguments have been validated; a Status reports the device's failures only.
//   - Nothing is allocated: scratch memory comes in a Workspace of the size the operation's
//     *Workspace function gave.
//   - The same inputs give the same bits, whatever the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ninc/export.h"
#include "ninc/problem.h"
#include "ninc/status.h"
#include "ninc/tensor.h"

namespace ninc {

// Scratch memory an operation needs while it runs.
struct WorkspaceSize {
  size_t shared = 0;      // bytes, once
  size_t per_thread = 0;  // bytes, for each thread that takes part
  WorkspaceSize Max(const WorkspaceSize& other) const {
    return {shared > other.shared ? shared : other.shared,
            per_thread > other.per_thread ? per_thread : other.per_thread};
  }
  // Rounded so that each part starts on its own cache line.
  size_t Total(int threads) const { return Aligned(shared) + Aligned(per_thread) * threads; }
  static size_t Aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }
};

// The memory itself, 64-byte aligned, for at most `threads` threads.
class Workspace {
 public:
  Workspace() = default;
  Workspace(std::byte* base, const WorkspaceSize& size, int threads)
      : base_(base), size_(size), threads_(threads) {}
  int threads() const { return threads_; }
  const WorkspaceSize& size() const { return size_; }
  template <typename T = float>
  T* shared() const {
    return reinterpret_cast<T*>(base_);
  }
  template <typename T = float>
  T* thread(int index) const {
    return reinterpret_cast<T*>(base_ + WorkspaceSize::Aligned(size_.shared) +
                                WorkspaceSize::Aligned(size_.per_thread) * index);
  }

 private:
  std::byte* base_ = nullptr;
  WorkspaceSize size_;
  int threads_ = 1;
};

// Which random numbers a dropout layer draws: Philox4x32-10 keyed by these and the position.
struct DropoutKey {
  uint64_t seed = 0;
  uint64_t step = 0;
  uint32_t layer = 0;
};

struct SgdSettings {
  float lr = 0.1f;
  float momentum = 0.0f;
  float weight_decay = 0.0f;
  bool nesterov = false;
  float gradient_scale = 1.0f;
};

// One layer's arrays of an mlpconv.
struct MlpConvLayer {
  const float* packed = nullptr;
  const float* bias = nullptr;  // or null
  float* kept = nullptr;        // where the layer's output is wanted too (a backward pass), or null
};

// One layer's arrays of a PointwiseBackward.
struct PointwiseGradient {
  const float* x = nullptr;
  const float* packed = nullptr;  // for kBackwardData
  Activation activation = {};     // that gave x: dx = 0 where it stopped what it was given
  float* dweight = nullptr;
  float* dbias = nullptr;  // or null
};

class NINC_API Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;

  // Layout. NCHW arrays of any strides in, contiguous NCHW out.
  virtual Status FromNchw(const Shape& shape, const StridedView& x, float* y, int threads) = 0;
  virtual Status ToNchw(const Shape& shape, const float* x, float* y, int threads) = 0;

  // Convolution. Weights are packed for a pass before it runs; `scale` (K values or null)
  // multiplies each output channel's weights: folded batch normalisation.
  virtual size_t PackedWeightBytes(const Conv2dProblem& problem, Pass pass) const = 0;
  virtual Status PackWeights(const Conv2dProblem& problem, Pass pass, const float* weight_oihw,
                             const float* scale, float* packed, int threads) = 0;
  virtual WorkspaceSize Conv2dWorkspace(const Conv2dProblem& problem, Pass pass) const = 0;
  // "implicit gemm 8×48" for Plan::Describe. Plans share packed weights by this name: another
  // layout of packed weights needs another name.
  virtual std::string Conv2dAlgorithm(const Conv2dProblem& problem, Pass pass) const = 0;
  // y = activation(conv(x) + bias); bias: K values or null.
  virtual Status Conv2dForward(const Conv2dProblem& problem, const float* x, const float* packed,
                               const float* bias, Activation activation, float* y,
                               const Workspace& workspace) = 0;
  // dx = 0 where the activation that gave x stopped what it was given; x may be null.
  virtual Status Conv2dBackwardData(const Conv2dProblem& problem, const float* dy,
                                    const float* packed, const float* x, Activation activation,
                                    float* dx, const Workspace& workspace) = 0;
  // dbias: K sums of dy, or null.
  virtual Status Conv2dBackwardWeights(const Conv2dProblem& problem, const float* x,
                                       const float* dy, float* dweight_oihw, float* dbias,
                                       const Workspace& workspace) = 0;

  // All gradients of 1×1 convolutions in a row, the network's last first: dy is the first
  // problem's, a layer's dx the next one's dy, and the last one's alone is written. Called for
  // layers where it pays; their weights' gradients may differ in the last digits from
  // Conv2dBackwardWeights'.
  virtual bool PointwiseBackwardPays(const Conv2dProblem&) const { return false; }
  virtual WorkspaceSize PointwiseBackwardWorkspace(const std::vector<Conv2dProblem>&) const {
    return {};
  }
  virtual Status PointwiseBackward(const std::vector<Conv2dProblem>&, const float* /*dy*/,
                                   const PointwiseGradient* /*layers*/, float* /*dx*/,
                                   const Workspace&) {
    return InvalidArgument("PointwiseBackward: this backend computes gradients one by one");
  }

  // A chain in one step: blocks of pixels go through all layers while they are in cache, and only
  // what is asked for is written to memory. layers: one for each of problem.layers. y: the tail's
  // output, or the last layer's. The same bits as the layers one after another.
  virtual WorkspaceSize MlpConvWorkspace(const MlpConvProblem& problem) const = 0;
  virtual Status MlpConvForward(const MlpConvProblem& problem, const float* x,
                                const MlpConvLayer* layers, float* y,
                                const Workspace& workspace) = 0;

  // y = activation(x), in place allowed.
  virtual Status ActivationForward(int64_t count, Activation activation, const float* x, float* y,
                                   int threads) = 0;
  // dx = dy where the activation passed x on (0 < y, and y < 6 for ReLU6), else 0; in place
  // allowed. dbias(c) = sum over rows of dx(row, c) unless null. dx may be null when only dbias is
  // wanted.
  virtual WorkspaceSize ActivationBackwardWorkspace(int64_t rows, int64_t channels) const = 0;
  virtual Status ActivationBackward(int64_t rows, int64_t channels, Activation activation,
                                    const float* dy, const float* y, float* dx, float* dbias,
                                    const Workspace& workspace) = 0;

  // Pooling. The first maximum in row order takes the gradient; NaN counts as largest.
  virtual Status MaxPool2dForward(const Pool2dProblem& problem, const float* x, float* y,
                                  int threads) = 0;
  virtual Status MaxPool2dBackward(const Pool2dProblem& problem, const float* dy, const float* x,
                                   float* dx, int threads) = 0;
  virtual Status AvgPool2dForward(const Pool2dProblem& problem, const float* x, float* y,
                                  int threads) = 0;
  virtual Status AvgPool2dBackward(const Pool2dProblem& problem, const float* dy, float* dx,
                                   int threads) = 0;
  // y(n, c) = mean over h, w of x(n, h, w, c)
  virtual Status GlobalAvgPool2dForward(const Shape& input, const float* x, float* y,
                                        int threads) = 0;
  virtual Status GlobalAvgPool2dBackward(const Shape& input, const float* dy, float* dx,
                                         int threads) = 0;

  // y(i) = x(i) * mask(i) / (1 - p), mask drawn for position i; in place allowed. The backward
  // pass is the same call on dy.
  virtual Status Dropout(int64_t count, float p, const DropoutKey& key, const float* x, float* y,
                         int threads) = 0;

  // y(r, c) = activation(x(r, c) * scale(c) + shift(c)), in place allowed: inference batch norm
  // that could not be folded.
  virtual Status ScaleShift(int64_t rows, int64_t channels, const float* x, const float* scale,
                            const float* shift, Activation activation, float* y, int threads) = 0;
  // Training batch norm (Ioffe, Szegedy 2015), PyTorch's conventions: normalises by the batch's
  // mean and biased variance; running = (1 - momentum) * running + momentum * batch, the running
  // variance unbiased. save_mean and save_inv_std (C values each) serve the backward pass.
  virtual WorkspaceSize BatchNormWorkspace(int64_t rows, int64_t channels) const = 0;
  virtual Status BatchNormForward(int64_t rows, int64_t channels, const float* x,
                                  const float* weight, const float* bias, float eps, float momentum,
                                  Activation activation, float* running_mean, float* running_var,
                                  float* save_mean, float* save_inv_std, float* y,
                                  const Workspace& workspace) = 0;
  // dy is the gradient behind the activation, masked here by y; dx in place of dy allowed.
  virtual Status BatchNormBackward(int64_t rows, int64_t channels, const float* dy, const float* x,
                                   const float* y, Activation activation, const float* weight,
                                   const float* save_mean, const float* save_inv_std, float* dx,
                                   float* dweight, float* dbias, const Workspace& workspace) = 0;

  // y = activation(a + b), in place of either allowed.
  virtual Status Add(int64_t count, const float* a, const float* b, Activation activation, float* y,
                     int threads) = 0;
  // y(r, y_offset + c) = x(r, x_offset + c) for c < channels: one side of a concat, either way.
  virtual Status CopyChannels(int64_t rows, int64_t channels, const float* x, int64_t x_stride,
                              int64_t x_offset, float* y, int64_t y_stride, int64_t y_offset,
                              int threads) = 0;

  // Softmax over channels, row by row, in place allowed; dx = y * (dy - sum(dy * y)).
  virtual Status SoftmaxForward(int64_t rows, int64_t channels, const float* x, float* y,
                                int threads) = 0;
  virtual Status SoftmaxBackward(int64_t rows, int64_t channels, const float* dy, const float* y,
                                 float* dx, int threads) = 0;
  // Mean over rows of -sum_c t(c) log softmax(x)(c), t = (1 - smoothing) * onehot(label) +
  // smoothing / C; dlogits = (softmax(x) - t) / rows. loss: one float; correct: rows whose first
  // largest logit is the label's. Labels lie in [0, channels).
  virtual WorkspaceSize SoftmaxCrossEntropyWorkspace(int64_t rows) const = 0;
  virtual Status SoftmaxCrossEntropy(int64_t rows, int64_t channels, const float* logits,
                                     const int64_t* labels, float smoothing, float* loss,
                                     int64_t* correct, float* dlogits,
                                     const Workspace& workspace) = 0;

  // As PyTorch defines it: g = gradient_scale * gradient + weight_decay * weight; velocity =
  // momentum * velocity + g; weight -= lr * (nesterov ? g + momentum * velocity : velocity).
  virtual Status SgdUpdate(int64_t count, const SgdSettings& settings, const float* gradient,
                           float* velocity, float* weight, int threads) = 0;
  // sum = sum over i of x(i)^2, in double.
  virtual Status SumOfSquares(int64_t count, const float* x, double* sum, int threads) = 0;
  // average += rate * (weight - average)
  virtual Status AverageUpdate(int64_t count, float rate, const float* weight, float* average,
                               int threads) = 0;
};

// The processor itself; lives as long as the process.
NINC_API Backend& CpuBackend();

}  // namespace ninc
