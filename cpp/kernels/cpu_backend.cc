// The processor as a Backend: each operation is its kernel of the same name.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <numeric>

#include "base/memory_limit.h"
#include "base/thread_pool.h"
#include "kernels/activation.h"
#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/global_avg_pool.h"
#include "kernels/layout.h"
#include "kernels/mlpconv.h"
#include "kernels/norm_conv2d.h"
#include "kernels/pointwise_backward.h"
#include "kernels/pool2d.h"
#include "kernels/pool2d_training.h"
#include "kernels/sgd.h"
#include "kernels/softmax.h"
#include "ninc/backend.h"

namespace ninc {
namespace {

class Cpu final : public Backend {
 public:
  explicit Cpu(Target target) : target_(target) {}
  std::string_view name() const override { return "cpu"; }

  Result<DeviceMemory> Allocate(const char* what, size_t bytes) override {
    NINC_ASSIGN_OR_RETURN(AlignedBuffer memory, ninc::Allocate(what, bytes));
    const size_t size = memory.size();
    return DeviceMemory(memory.Release(), size, &AlignedBuffer::FreeReleased);
  }
  Status Write(void* to, const void* from, size_t bytes) override {
    std::memcpy(to, from, bytes);
    return {};
  }
  Status Read(void* to, const void* from, size_t bytes) override { return Write(to, from, bytes); }
  Status Synchronize() override { return {}; }
  bool SharesMemory() const override { return true; }
  int Threads() const override { return GetNumThreads(); }
  Result<std::shared_ptr<Backend>> NewStream() override { return std::shared_ptr<Backend>(); }
  void ForgetRecordings() override {}

  Status FromNchw(const Shape& shape, const StridedView& x, float* y, int threads) override {
    cpu::FromNchw(shape, x, y, threads);
    return {};
  }
  Status ToNchw(const Shape& shape, const float* x, float* y, int threads) override {
    cpu::ToNchw(shape, x, y, threads);
    return {};
  }
  Status FromUint8(const Shape& shape, const uint8_t* x, const float* scale, const float* shift,
                   float* y, int threads) override {
    cpu::FromUint8(shape, x, scale, shift, y, threads);
    return {};
  }

  size_t PackedWeightBytes(const Conv2dProblem& problem, Pass pass) const override {
    return cpu::PackedWeightBytes(target_, problem, pass);
  }
  Status PackWeights(const Conv2dProblem& problem, Pass pass, const float* weight,
                     const float* scale, float* packed, int threads) override {
    cpu::PackWeights(target_, problem, pass, weight, scale, packed, threads);
    return {};
  }
  WorkspaceSize Conv2dWorkspace(const Conv2dProblem& problem, Pass pass) const override {
    return cpu::Conv2dWorkspace(target_, problem, pass);
  }
  std::string Conv2dAlgorithm(const Conv2dProblem& problem, Pass pass) const override {
    return cpu::Conv2dAlgorithm(target_, problem, pass);
  }
  std::vector<Conv2dEstimate> Conv2dEstimates(const Conv2dProblem& problem,
                                              Pass pass) const override {
    return cpu::Conv2dEstimates(target_, problem, pass);
  }
  std::string Conv2dBlock(const Conv2dProblem& problem, Pass pass) const override {
    return cpu::Conv2dBlock(target_, problem, pass);
  }
  Status Conv2dForward(const Conv2dProblem& problem, const float* x, const float* packed,
                       const float* bias, Activation activation, float* y,
                       const Workspace& workspace) override {
    cpu::Conv2dForward(target_, problem, x, packed, bias, activation, y, workspace);
    return {};
  }
  Status Conv2dBackwardData(const Conv2dProblem& problem, const float* dy, const float* packed,
                            const float* x, Activation activation, float* dx,
                            const Workspace& workspace) override {
    cpu::Conv2dBackwardData(target_, problem, dy, packed, x, activation, dx, workspace);
    return {};
  }
  Status Conv2dBackwardWeights(const Conv2dProblem& problem, const float* x, const float* dy,
                               float* dweight, float* dbias, const Workspace& workspace) override {
    cpu::Conv2dBackwardWeights(target_, problem, x, dy, dweight, dbias, workspace);
    return {};
  }

  bool PointwiseBackwardPays(const Conv2dProblem& problem) const override {
    return cpu::PointwiseBackwardPays(target_, problem);
  }
  WorkspaceSize PointwiseBackwardWorkspace(
      const std::vector<Conv2dProblem>& problems) const override {
    return cpu::PointwiseBackwardWorkspace(target_, problems);
  }
  Status PointwiseBackward(const std::vector<Conv2dProblem>& problems, const float* dy,
                           const PointwiseGradient* layers, const PointwiseNorms* norms, float* dx,
                           const Workspace& workspace) override {
    cpu::PointwiseBackward(target_, problems, dy, layers, norms, dx, workspace);
    return {};
  }

  WorkspaceSize MlpConvWorkspace(const MlpConvProblem& problem) const override {
    return cpu::MlpConvWorkspace(target_, problem);
  }
  std::string MlpConvBlock(const MlpConvProblem& problem) const override {
    return cpu::MlpConvBlock(target_, problem);
  }
  Status MlpConvForward(const MlpConvProblem& problem, const float* x, const MlpConvLayer* layers,
                        const MlpConvTail* training, float* y,
                        const Workspace& workspace) override {
    cpu::MlpConvForward(target_, problem, x, layers, training, y, workspace);
    return {};
  }

  Status ActivationForward(int64_t count, Activation activation, const float* x, float* y,
                           int threads) override {
    cpu::ActivationForward(target_, count, activation, x, y, threads);
    return {};
  }
  WorkspaceSize ActivationBackwardWorkspace(int64_t rows, int64_t channels) const override {
    return cpu::ActivationBackwardWorkspace(rows, channels);
  }
  Status ActivationBackward(int64_t rows, int64_t channels, Activation activation, const float* dy,
                            const float* y, float* dx, float* dbias,
                            const Workspace& workspace) override {
    cpu::ActivationBackward(target_, rows, channels, activation, dy, y, dx, dbias, workspace);
    return {};
  }

  Status MaxPool2dForward(const Pool2dProblem& problem, const float* x, float* y,
                          int threads) override {
    cpu::MaxPool2dForward(target_, problem, x, y, threads);
    return {};
  }
  Status MaxPool2dBackward(const Pool2dProblem& problem, const float* dy, const float* x, float* dx,
                           int threads) override {
    cpu::MaxPool2dBackward(target_, problem, dy, x, dx, threads);
    return {};
  }
  Status AvgPool2dForward(const Pool2dProblem& problem, const float* x, float* y,
                          int threads) override {
    cpu::AvgPool2dForward(target_, problem, x, y, threads);
    return {};
  }
  Status AvgPool2dBackward(const Pool2dProblem& problem, const float* dy, float* dx,
                           int threads) override {
    cpu::AvgPool2dBackward(target_, problem, dy, dx, threads);
    return {};
  }
  Status GlobalAvgPool2dForward(const Shape& input, const float* x, float* y,
                                int threads) override {
    cpu::GlobalAvgPool2dForward(target_, input, x, y, threads);
    return {};
  }
  Status GlobalAvgPool2dBackward(const Shape& input, const float* dy, float* dx,
                                 int threads) override {
    cpu::GlobalAvgPool2dBackward(target_, input, dy, dx, threads);
    return {};
  }

  bool TrainingPoolPays(const TrainingPoolProblem& problem) const override {
    return cpu::TrainingPoolPays(problem);
  }
  size_t PoolTraceBytes(const TrainingPoolProblem& problem) const override {
    return cpu::PoolTraceBytes(target_, problem);
  }
  Status TrainingPoolForward(const TrainingPoolProblem& problem, const DropoutKey* key,
                             const float* x, float* y, uint8_t* trace, int threads) override {
    cpu::TrainingPoolForward(target_, problem, key, {0, problem.pool.input.n}, x, y, trace,
                             threads);
    return {};
  }
  Status TrainingPoolBackward(const TrainingPoolProblem& problem, bool dropped, const float* dy,
                              const uint8_t* trace, float* dx, int threads) override {
    cpu::TrainingPoolBackward(target_, problem, dropped, dy, trace, dx, threads);
    return {};
  }

  Status Dropout(int64_t count, float p, uint32_t layer, const DropoutKey* key, const float* x,
                 float* y, int threads) override {
    cpu::Dropout(target_, count, p, layer, *key, x, y, threads);
    return {};
  }

  Status FoldNorm(int64_t channels, const StillNorm& norm, float* scale, float* shift) override {
    cpu::FoldNorm(channels, norm, scale, shift);
    return {};
  }
  Status ScaleShift(int64_t rows, int64_t channels, const float* x, const float* scale,
                    const float* shift, Activation activation, float* y, int threads) override {
    cpu::ScaleShift(target_, rows, channels, x, scale, shift, activation, y, threads);
    return {};
  }
  WorkspaceSize BatchNormWorkspace(int64_t rows, int64_t channels) const override {
    return cpu::BatchNormWorkspace(rows, channels);
  }
  Status BatchNormForward(int64_t rows, int64_t channels, const float* x, const float* weight,
                          const float* bias, float eps, float momentum, Activation activation,
                          float* running_mean, float* running_var, float* save_mean,
                          float* save_inv_std, float* y, const Workspace& workspace) override {
    cpu::BatchNormForward(target_, rows, channels, x, weight, bias, eps, momentum, activation,
                          running_mean, running_var, save_mean, save_inv_std, y, workspace);
    return {};
  }
  Status BatchNormBackward(int64_t rows, int64_t channels, const float* dy, const float* x,
                           const float* y, Activation activation, const float* weight,
                           const float* save_mean, const float* save_inv_std, float* dx,
                           float* dweight, float* dbias, const Workspace& workspace) override {
    cpu::BatchNormBackward(target_, rows, channels, dy, x, y, activation, weight, save_mean,
                           save_inv_std, dx, dweight, dbias, workspace);
    return {};
  }

  bool NormConv2dPays(const Conv2dProblem& problem) const override {
    return cpu::NormConv2dPays(problem);
  }
  WorkspaceSize NormConv2dWorkspace(const Conv2dProblem& problem) const override {
    return cpu::NormConv2dWorkspace(target_, problem);
  }
  std::string NormConv2dBlock(const Conv2dProblem& problem) const override {
    return cpu::NormConv2dBlock(target_, problem);
  }
  Status NormConv2dForward(const Conv2dProblem& problem, const float* x,
                           const Normalization* source, const float* packed, const float* bias,
                           float* y, const NormStatistics& statistics,
                           const Workspace& workspace) override {
    cpu::NormConv2dForward(target_, problem, x, source, packed, bias, y, statistics, workspace);
    return {};
  }
  Status Normalize(int64_t rows, int64_t channels, const float* z, const Normalization& norm,
                   float* y, int threads) override {
    cpu::Normalize(target_, rows, channels, z, norm, y, threads);
    return {};
  }
  Status NormBackward(int64_t rows, int64_t channels, const float* dy, const NormGradient& gradient,
                      bool sums, float* dx, const Workspace& workspace) override {
    cpu::NormBackward(target_, rows, channels, dy, gradient, sums, dx, workspace);
    return {};
  }

  Status Add(int64_t count, const float* a, const float* b, Activation activation, float* y,
             int threads) override {
    cpu::Add(target_, count, a, b, activation, y, threads);
    return {};
  }
  Status CopyChannels(int64_t rows, int64_t channels, const float* x, int64_t x_stride,
                      int64_t x_offset, float* y, int64_t y_stride, int64_t y_offset,
                      int threads) override {
    cpu::CopyChannels(rows, channels, x, x_stride, x_offset, y, y_stride, y_offset, threads);
    return {};
  }

  Status SoftmaxForward(int64_t rows, int64_t channels, const float* x, float* y,
                        int threads) override {
    cpu::SoftmaxForward(rows, channels, x, y, threads);
    return {};
  }
  Status SoftmaxBackward(int64_t rows, int64_t channels, const float* dy, const float* y, float* dx,
                         int threads) override {
    cpu::SoftmaxBackward(rows, channels, dy, y, dx, threads);
    return {};
  }
  WorkspaceSize SoftmaxCrossEntropyWorkspace(int64_t rows) const override {
    return cpu::SoftmaxCrossEntropyWorkspace(rows);
  }
  Status SoftmaxCrossEntropy(int64_t rows, int64_t channels, const float* logits,
                             const int64_t* labels, float smoothing, float* loss, int64_t* correct,
                             float* dlogits, const Workspace& workspace) override {
    cpu::SoftmaxCrossEntropy(rows, channels, logits, labels, smoothing, loss, correct, dlogits,
                             workspace);
    return {};
  }

  WorkspaceSize SumOfSquaresWorkspace(int64_t) const override { return {}; }
  Status SumOfSquares(int64_t count, const float* x, double* sum,
                      const Workspace& workspace) override {
    *sum = cpu::SumOfSquares(count, x, workspace.threads());
    return {};
  }
  Status LimitGradients(int64_t count, const double* sums, StepState* state) override {
    state->gradient_norm = std::sqrt(std::accumulate(sums, sums + count, 0.0));
    const double limit = state->clip_norm;
    const bool clip = limit > 0 && state->gradient_norm > limit;
    state->gradient_scale = clip ? static_cast<float>(limit / state->gradient_norm) : 1.0f;
    state->updated = std::isfinite(state->loss) && std::isfinite(state->gradient_norm);
    return {};
  }
  Status SgdUpdate(int64_t count, const StepState* state, const ParameterUpdate* update,
                   const float* gradient, float* velocity, float* weight, int threads) override {
    if (state->updated == 0) return {};
    const SgdSettings settings{update->lr, state->momentum, update->weight_decay,
                               state->nesterov != 0, state->gradient_scale};
    cpu::SgdUpdate(target_, count, settings, gradient, velocity, weight, threads);
    return {};
  }
  Status AverageUpdate(int64_t count, const StepState* state, const float* weight, float* average,
                       int threads) override {
    if (state->updated == 0) return {};
    cpu::AverageUpdate(target_, count, state->average_rate, weight, average, threads);
    return {};
  }
  Status CopyUpdated(int64_t count, const StepState* state, const float* x, float* y,
                     int) override {
    if (state->updated != 0) std::copy_n(x, count, y);
    return {};
  }

 private:
  Status RunRecorded(const RecordingKey&, Status (*body)(void*), void* context) override {
    return body(context);
  }

  const Target target_;
};

}  // namespace

Backend& CpuBackend(Target target) {
  static Cpu backends[] = {Cpu(Target::kScalar), Cpu(Target::kNeon), Cpu(Target::kAvx2),
                           Cpu(Target::kAvx512), Cpu(Target::kAmx)};
  static_assert(std::size(backends) == kTargets);
  return backends[static_cast<size_t>(target)];
}

Backend& CpuBackend() { return CpuBackend(ChosenTarget()); }

}  // namespace ninc
