// What a device offers: memory and a dozen operations, forward and backward. The CPU implements
// them in cpp/kernels/, CUDA in cuda/, under the same names.
//
// Conventions for every operation
//   - Every pointer is memory of the backend, labels and results too.
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
#include <utility>
#include <vector>

#include "ninc/export.h"
#include "ninc/layer_arrays.h"
#include "ninc/problem.h"
#include "ninc/status.h"
#include "ninc/target.h"
#include "ninc/tensor.h"

namespace ninc {

// A block of a backend's memory, given back when it goes out of scope.
class DeviceMemory {
 public:
  using Free = void (*)(std::byte*);
  DeviceMemory() = default;
  DeviceMemory(std::byte* data, size_t size, Free free) : data_(data), size_(size), free_(free) {}
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(free_, other.free_);
    return *this;
  }
  ~DeviceMemory() {
    if (data_ != nullptr) free_(data_);
  }

  size_t size() const { return size_; }  // bytes
  bool empty() const { return size_ == 0; }
  std::byte* data() const { return data_; }
  template <typename T = float>
  T* as(size_t offset = 0) const {  // from `offset` bytes on
    return reinterpret_cast<T*>(data_ + offset);
  }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  Free free_ = nullptr;
};

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

// Which random numbers the dropout layers of one step draw: Philox4x32-10 keyed by these, the layer
// and the position.
struct DropoutKey {
  uint64_t seed = 0;
  uint64_t step = 0;
};

// One parameter's share of an update: lr and decay after the schedule and the group rules.
struct ParameterUpdate {
  float lr = 0.0f;
  float weight_decay = 0.0f;
};

// What a training step reads and writes beside arrays. It lies in the backend's memory, so that a
// step that a device has recorded can be replayed with other settings, and so that nobody has to
// wait for a step to know whether its update may be made.
struct StepState {
  // Set before the step.
  DropoutKey key;
  float momentum = 0.0f;
  uint32_t nesterov = 0;
  float clip_norm = 0.0f;     // above 0: the largest norm all gradients together may have
  float average_rate = 0.0f;  // of the averages' update
  // Set by the step.
  float loss = 0.0f;
  float gradient_scale = 1.0f;
  int64_t correct = 0;
  double gradient_norm = 0.0;
  uint32_t updated = 0;  // 0 where the loss or the norm is not finite: nothing may be updated
};

// One algorithm that a convolution may take, and how long that is estimated to take one core, less
// what all algorithms do alike.
struct Conv2dEstimate {
  std::string algorithm;
  double nanoseconds = 0;
};

// What makes two runs the same for a device: the plan, and whatever decides which addresses and
// operations it comes to.
struct RecordingKey {
  uint64_t plan = 0;
  uint64_t variant = 0;
  bool operator==(const RecordingKey&) const = default;
};

class NINC_API Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;  // "cpu", "cuda"

  // Memory. Calls of one backend take effect in order; those of another stream of the same device
  // are in no order to them but for Synchronize.
  virtual Result<DeviceMemory> Allocate(const char* what, size_t bytes) = 0;
  // From and to the caller's memory, which may be used again when they return; Read waits for what
  // was called before.
  virtual Status Write(void* to, const void* from, size_t bytes) = 0;
  virtual Status Read(void* to, const void* from, size_t bytes) = 0;
  virtual Status Synchronize() = 0;
  // Whether the backend's memory is the caller's own.
  virtual bool SharesMemory() const = 0;
  // Makes memory of the same device that another library filled ready to be read: waits for what
  // that library's stream has queued (a CUstream, or 1, the default stream; 0: nothing is queued).
  virtual Status Borrow(const char* what, const void* memory, uint64_t stream);
  // How many threads a run should ask for.
  virtual int Threads() const = 0;
  // The same device, for calls that need not wait for those of this backend; null where this one
  // serves any number of threads.
  virtual Result<std::shared_ptr<Backend>> NewStream() = 0;

  // Runs `body`, which only calls this backend. Where the device can, it records what `body` queues
  // when it comes for the second time under one key, and from then on replays it instead: all that
  // may differ from one time to the next has to be read from the backend's memory.
  template <typename Body>
  Status Replay(const RecordingKey& key, Body body) {
    return RunRecorded(
        key, [](void* context) { return (*static_cast<Body*>(context))(); }, &body);
  }
  // Forgets all recordings: addresses in them have changed.
  virtual void ForgetRecordings() = 0;

  // Layout. NCHW arrays of any strides in, contiguous NCHW out.
  virtual Status FromNchw(const Shape& shape, const StridedView& x, float* y, int threads) = 0;
  virtual Status ToNchw(const Shape& shape, const float* x, float* y, int threads) = 0;
  // y(n, h, w, c) = x(n, h, w, c) * scale(c) + shift(c): pictures as they come from a file.
  virtual Status FromUint8(const Shape& shape, const uint8_t* x, const float* scale,
                           const float* shift, float* y, int threads) = 0;

  // Convolution. Weights are packed for a pass before it runs; `scale` (K values or null)
  // multiplies each output channel's weights: folded batch normalisation.
  virtual size_t PackedWeightBytes(const Conv2dProblem& problem, Pass pass) const = 0;
  virtual Status PackWeights(const Conv2dProblem& problem, Pass pass, const float* weight_oihw,
                             const float* scale, float* packed, int threads) = 0;
  virtual WorkspaceSize Conv2dWorkspace(const Conv2dProblem& problem, Pass pass) const = 0;
  // "implicit gemm 8×48" for Plan::Describe. Plans share packed weights by this name: another
  // layout of packed weights needs another name.
  virtual std::string Conv2dAlgorithm(const Conv2dProblem& problem, Pass pass) const = 0;
  // For Plan::Describe too: what the pass may take, the chosen first, where the backend chooses by
  // estimated times; and what it takes at a time, "64 tiles" ("" where nothing is to be said).
  virtual std::vector<Conv2dEstimate> Conv2dEstimates(const Conv2dProblem&, Pass) const {
    return {};
  }
  virtual std::string Conv2dBlock(const Conv2dProblem&, Pass) const { return {}; }
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
  // Conv2dBackwardWeights'. norms: null but for one layer between two batch norms.
  virtual bool PointwiseBackwardPays(const Conv2dProblem&) const { return false; }
  virtual WorkspaceSize PointwiseBackwardWorkspace(const std::vector<Conv2dProblem>&) const {
    return {};
  }
  virtual Status PointwiseBackward(const std::vector<Conv2dProblem>&, const float* /*dy*/,
                                   const PointwiseGradient* /*layers*/,
                                   const PointwiseNorms* /*norms*/, float* /*dx*/,
                                   const Workspace&) {
    return InvalidArgument("PointwiseBackward: this backend computes gradients one by one");
  }

  // A chain in one step: blocks of pixels go through all layers while they are in cache, and only
  // what is asked for is written to memory. layers: one for each of problem.layers. y: the tail's
  // output, or the last layer's. The same bits as the layers one after another (on a GPU but for
  // layers of 16 channels and fewer). training: null, or what makes a training step's pool of
  // problem.tail.
  virtual WorkspaceSize MlpConvWorkspace(const MlpConvProblem& problem) const = 0;
  virtual std::string MlpConvBlock(const MlpConvProblem&) const { return {}; }
  virtual Status MlpConvForward(const MlpConvProblem& problem, const float* x,
                                const MlpConvLayer* layers, const MlpConvTail* training, float* y,
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

  // A training step's pool with its neighbours, where the backend finds that it pays:
  // y = dropout(pool(x)), and dx = the gradient of what the activation that gave x was given. What
  // the backward pass has to know of x the forward one leaves in a trace, bytes of the backend's
  // own making, so that x itself need not be kept; null where PoolTraceBytes is 0. key: null where
  // nothing is to be dropped this time.
  virtual bool TrainingPoolPays(const TrainingPoolProblem&) const { return false; }
  virtual size_t PoolTraceBytes(const TrainingPoolProblem&) const { return 0; }
  virtual Status TrainingPoolForward(const TrainingPoolProblem&, const DropoutKey* /*key*/,
                                     const float* /*x*/, float* /*y*/, uint8_t* /*trace*/,
                                     int /*threads*/) {
    return InvalidArgument("TrainingPoolForward: this backend pools and drops one by one");
  }
  // dropped: whether the forward pass had a key.
  virtual Status TrainingPoolBackward(const TrainingPoolProblem&, bool /*dropped*/,
                                      const float* /*dy*/, const uint8_t* /*trace*/, float* /*dx*/,
                                      int /*threads*/) {
    return InvalidArgument("TrainingPoolBackward: this backend pools and drops one by one");
  }

  // y(i) = x(i) * mask(i) / (1 - p), mask drawn for position i; in place allowed. The backward
  // pass is the same call on dy.
  virtual Status Dropout(int64_t count, float p, uint32_t layer, const DropoutKey* key,
                         const float* x, float* y, int threads) = 0;

  // scale(c) = weight(c) / sqrt(var(c) + eps), shift(c) = bias(c) + (offset(c) - mean(c)) *
  // scale(c)
  virtual Status FoldNorm(int64_t channels, const StillNorm& norm, float* scale, float* shift) = 0;
  // y(r, c) = activation(x(r, c) * scale(c) + shift(c)), in place allowed: batch norm whose
  // statistics stand still. Without a shift it is its own backward pass, x = dy, y = dx.
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

  // Batch norm in training as part of the convolutions around it, where the backend finds that it
  // pays: statistics are taken of a convolution's output while it is in cache, and a 1×1
  // convolution normalises what it reads.
  virtual bool NormConv2dPays(const Conv2dProblem&) const { return false; }
  virtual WorkspaceSize NormConv2dWorkspace(const Conv2dProblem&) const { return {}; }
  virtual std::string NormConv2dBlock(const Conv2dProblem&) const { return {}; }
  // y = conv(x) + bias and its statistics. With `source`, for 1×1 convolutions alone, x is
  // normalised first.
  virtual Status NormConv2dForward(const Conv2dProblem&, const float* /*x*/,
                                   const Normalization* /*source*/, const float* /*packed*/,
                                   const float* /*bias*/, float* /*y*/, const NormStatistics&,
                                   const Workspace&) {
    return InvalidArgument("NormConv2d: this backend takes statistics in a step of their own");
  }
  // y = activation((z - mean) * scale + bias)
  virtual Status Normalize(int64_t /*rows*/, int64_t /*channels*/, const float* /*z*/,
                           const Normalization&, float* /*y*/, int /*threads*/) {
    return InvalidArgument("Normalize: this backend takes statistics in a step of their own");
  }
  // dweight and dbias with `sums`, else they are there; dx unless it is null, in place of dy
  // allowed. dy is masked by what z gives. Workspace: BatchNormWorkspace.
  virtual Status NormBackward(int64_t /*rows*/, int64_t /*channels*/, const float* /*dy*/,
                              const NormGradient&, bool /*sums*/, float* /*dx*/, const Workspace&) {
    return InvalidArgument("NormBackward: this backend takes statistics in a step of their own");
  }

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

  // sum = sum over i of x(i)^2, in double.
  virtual WorkspaceSize SumOfSquaresWorkspace(int64_t count) const = 0;
  virtual Status SumOfSquares(int64_t count, const float* x, double* sum,
                              const Workspace& workspace) = 0;
  // From `count` sums of squares, gradient_norm = sqrt(their sum), gradient_scale = the factor that
  // brings it down to clip_norm, and updated = whether loss and norm are finite.
  virtual Status LimitGradients(int64_t count, const double* sums, StepState* state) = 0;
  // What updates does nothing where state->updated is 0.
  // As PyTorch defines it: g = gradient_scale * gradient + weight_decay * weight; velocity =
  // momentum * velocity + g; weight -= lr * (nesterov ? g + momentum * velocity : velocity).
  virtual Status SgdUpdate(int64_t count, const StepState* state, const ParameterUpdate* update,
                           const float* gradient, float* velocity, float* weight, int threads) = 0;
  // average += average_rate * (weight - average); with a rate of 1 a copy, without a trace of what
  // stood there.
  virtual Status AverageUpdate(int64_t count, const StepState* state, const float* weight,
                               float* average, int threads) = 0;
  // y = x
  virtual Status CopyUpdated(int64_t count, const StepState* state, const float* x, float* y,
                             int threads) = 0;

 private:
  virtual Status RunRecorded(const RecordingKey& key, Status (*body)(void*), void* context) = 0;
};

// The processor with the kernels of one instruction set, that in use where none is named; lives as
// long as the process.
NINC_API Backend& CpuBackend(Target target);
NINC_API Backend& CpuBackend();

// What can compute here, and why the others cannot.
struct DeviceInfo {
  std::string name;         // "cpu", "cuda"
  std::string description;  // "NVIDIA H100 80GB HBM3, compute capability 9.0, 81559 MiB"
  std::string problem;      // why it cannot be used, one sentence; empty where it can
};
NINC_API std::vector<DeviceInfo> Devices();
// What the kernels for GPUs were compiled for; empty in a build without them.
NINC_API std::string CudaTargets();
// The backend of "cpu" or "cuda".
NINC_API Result<std::shared_ptr<Backend>> OpenDevice(std::string_view name);

}  // namespace ninc
