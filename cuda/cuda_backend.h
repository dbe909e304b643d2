// A CUDA stream as a Backend: each operation queues its kernels, of the same name in cuda/. The
// `threads` of the interface mean nothing here, and of a workspace only the shared part is used.
//
// Calls that queue work come from one thread at a time; those that touch memory may come from any.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/stream.h"
#include "ninc/backend.h"

namespace ninc::cuda {

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}
  static Result<std::shared_ptr<Backend>> OnNewStream();

  std::string_view name() const override { return "cuda"; }
  Stream& stream() { return *stream_; }

  Result<DeviceMemory> Allocate(const char* what, size_t bytes) override;
  Status Write(void* to, const void* from, size_t bytes) override;
  Status Read(void* to, const void* from, size_t bytes) override;
  Status Synchronize() override;
  Status Borrow(const char* what, const void* memory, uint64_t stream) override;
  bool SharesMemory() const override { return false; }
  int Threads() const override { return 1; }
  Result<std::shared_ptr<Backend>> NewStream() override { return OnNewStream(); }
  void ForgetRecordings() override { recordings_.clear(); }

  Status FromNchw(const Shape& shape, const StridedView& x, float* y, int threads) override;
  Status ToNchw(const Shape& shape, const float* x, float* y, int threads) override;
  Status FromUint8(const Shape& shape, const uint8_t* x, const float* scale, const float* shift,
                   float* y, int threads) override;

  size_t PackedWeightBytes(const Conv2dProblem& problem, Pass pass) const override;
  Status PackWeights(const Conv2dProblem& problem, Pass pass, const float* weight,
                     const float* scale, float* packed, int threads) override;
  WorkspaceSize Conv2dWorkspace(const Conv2dProblem& problem, Pass pass) const override;
  std::string Conv2dAlgorithm(const Conv2dProblem& problem, Pass pass) const override;
  Status Conv2dForward(const Conv2dProblem& problem, const float* x, const float* packed,
                       const float* bias, Activation activation, float* y,
                       const Workspace& workspace) override;
  Status Conv2dBackwardData(const Conv2dProblem& problem, const float* dy, const float* packed,
                            const float* x, Activation activation, float* dx,
                            const Workspace& workspace) override;
  Status Conv2dBackwardWeights(const Conv2dProblem& problem, const float* x, const float* dy,
                               float* dweight, float* dbias, const Workspace& workspace) override;
  WorkspaceSize MlpConvWorkspace(const MlpConvProblem& problem) const override;
  Status MlpConvForward(const MlpConvProblem& problem, const float* x, const MlpConvLayer* layers,
                        const MlpConvTail* training, float* y, const Workspace& workspace) override;

  Status ActivationForward(int64_t count, Activation activation, const float* x, float* y,
                           int threads) override;
  WorkspaceSize ActivationBackwardWorkspace(int64_t rows, int64_t channels) const override;
  Status ActivationBackward(int64_t rows, int64_t channels, Activation activation, const float* dy,
                            const float* y, float* dx, float* dbias,
                            const Workspace& workspace) override;

  Status MaxPool2dForward(const Pool2dProblem& problem, const float* x, float* y,
                          int threads) override;
  Status MaxPool2dBackward(const Pool2dProblem& problem, const float* dy, const float* x, float* dx,
                           int threads) override;
  Status AvgPool2dForward(const Pool2dProblem& problem, const float* x, float* y,
                          int threads) override;
  Status AvgPool2dBackward(const Pool2dProblem& problem, const float* dy, float* dx,
                           int threads) override;
  Status GlobalAvgPool2dForward(const Shape& input, const float* x, float* y, int threads) override;
  Status GlobalAvgPool2dBackward(const Shape& input, const float* dy, float* dx,
                                 int threads) override;

  Status Dropout(int64_t count, float p, uint32_t layer, const DropoutKey* key, const float* x,
                 float* y, int threads) override;

  Status FoldNorm(int64_t channels, const StillNorm& norm, float* scale, float* shift) override;
  Status ScaleShift(int64_t rows, int64_t channels, const float* x, const float* scale,
                    const float* shift, Activation activation, float* y, int threads) override;
  WorkspaceSize BatchNormWorkspace(int64_t rows, int64_t channels) const override;
  Status BatchNormForward(int64_t rows, int64_t channels, const float* x, const float* weight,
                          const float* bias, float eps, float momentum, Activation activation,
                          float* running_mean, float* running_var, float* save_mean,
                          float* save_inv_std, float* y, const Workspace& workspace) override;
  Status BatchNormBackward(int64_t rows, int64_t channels, const float* dy, const float* x,
                           const float* y, Activation activation, const float* weight,
                           const float* save_mean, const float* save_inv_std, float* dx,
                           float* dweight, float* dbias, const Workspace& workspace) override;

  Status Add(int64_t count, const float* a, const float* b, Activation activation, float* y,
             int threads) override;
  Status CopyChannels(int64_t rows, int64_t channels, const float* x, int64_t x_stride,
                      int64_t x_offset, float* y, int64_t y_stride, int64_t y_offset,
                      int threads) override;

  Status SoftmaxForward(int64_t rows, int64_t channels, const float* x, float* y,
                        int threads) override;
  Status SoftmaxBackward(int64_t rows, int64_t channels, const float* dy, const float* y, float* dx,
                         int threads) override;
  WorkspaceSize SoftmaxCrossEntropyWorkspace(int64_t rows) const override;
  Status SoftmaxCrossEntropy(int64_t rows, int64_t channels, const float* logits,
                             const int64_t* labels, float smoothing, float* loss, int64_t* correct,
                             float* dlogits, const Workspace& workspace) override;

  WorkspaceSize SumOfSquaresWorkspace(int64_t count) const override;
  Status SumOfSquares(int64_t count, const float* x, double* sum,
                      const Workspace& workspace) override;
  Status LimitGradients(int64_t count, const double* sums, StepState* state) override;
  Status SgdUpdate(int64_t count, const StepState* state, const ParameterUpdate* update,
                   const float* gradient, float* velocity, float* weight, int threads) override;
  Status AverageUpdate(int64_t count, const StepState* state, const float* weight, float* average,
                       int threads) override;
  Status CopyUpdated(int64_t count, const StepState* state, const float* x, float* y,
                     int threads) override;

 private:
  // What has run under one key: once as it is, then recorded.
  struct Recorded {
    RecordingKey key;
    std::unique_ptr<Recording> recording;
  };
  Status RunRecorded(const RecordingKey& key, Status (*body)(void*), void* context) override;

  const std::unique_ptr<Stream> stream_;
  std::mutex memory_mutex_;
  std::vector<Recorded> recordings_;  // the oldest first
};

}  // namespace ninc::cuda
