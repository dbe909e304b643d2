// Memory, streams and recordings of a GPU; steps are compiled by the functions of compile.h.
#include "cuda/cuda_backend.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "cuda/compile.h"
#include "cuda/runtime/context.h"
#include "cuda/runtime/devices.h"

namespace ninc::cuda {
namespace {

// A graph holds some kilobytes on the device for each kernel. More than this many different plans
// on one stream is a program that changes its input's shape all the time and gains little by them.
constexpr size_t kMaxRecordings = 64;

// The step in plain float32, whatever precision it asks for.
StepOp WithoutTensorCores(StepOp step) {
  std::visit(
      [](auto& op) {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<Op, step::Conv2d> ||
                      std::is_same_v<Op, step::Conv2dBackwardData> ||
                      std::is_same_v<Op, step::Conv2dBackwardWeights>) {
          op.problem.method = ConvMethod::kDirect;
        } else if constexpr (std::is_same_v<Op, step::MlpConv>) {
          for (Conv2dProblem& layer : op.problem.layers) layer.method = ConvMethod::kDirect;
        }
      },
      step);
  return step;
}

void FreeMemory(std::byte* memory, size_t) {
  const Result<Context*> context = Context::Get();
  if (context.ok()) context.value()->Free(reinterpret_cast<DevicePointer>(memory));
}

}  // namespace

Result<std::shared_ptr<Backend>> OpenBackend() { return CudaBackend::OnNewStream(); }

Result<std::shared_ptr<Backend>> CudaBackend::OnNewStream() {
  NINC_ASSIGN_OR_RETURN(Context * context, Context::Get());
  NINC_ASSIGN_OR_RETURN(std::unique_ptr<Stream> stream, context->NewStream());
  return std::shared_ptr<Backend>(std::make_shared<CudaBackend>(std::move(stream)));
}

Result<DeviceMemory> CudaBackend::Allocate(const char* what, size_t bytes) {
  if (bytes == 0) return DeviceMemory();
  NINC_ASSIGN_OR_RETURN(const DevicePointer pointer, stream_->context().Allocate(what, bytes));
  return DeviceMemory(reinterpret_cast<std::byte*>(pointer), bytes, &FreeMemory);
}

Status CudaBackend::Write(void* to, const void* from, size_t bytes) {
  const std::lock_guard lock(memory_mutex_);
  return stream_->CopyIn(to, from, bytes);
}

Status CudaBackend::Read(void* to, const void* from, size_t bytes) {
  const std::lock_guard lock(memory_mutex_);
  return stream_->CopyOut(to, from, bytes);
}

Status CudaBackend::Synchronize() {
  const std::lock_guard lock(memory_mutex_);
  return stream_->Synchronize();
}

Status CudaBackend::Borrow(const char* what, const void* memory, uint64_t stream) {
  NINC_RETURN_IF_ERROR(stream_->context().CheckDevicePointer(what, memory));
  return stream == 0 ? Status() : stream_->context().WaitForForeignStream(stream);
}

Status CudaBackend::RunRecorded(const RecordingKey& key, Status (*body)(void*), void* context) {
  const auto found = std::find_if(recordings_.begin(), recordings_.end(),
                                  [&](const Recorded& recorded) { return recorded.key == key; });
  if (found == recordings_.end()) {
    // The first run loads modules and sets kernels' attributes, once and for all; and what runs but
    // once is not worth a graph.
    NINC_RETURN_IF_ERROR(body(context));
    if (recordings_.size() == kMaxRecordings) recordings_.erase(recordings_.begin());
    recordings_.push_back({key, nullptr});
    return {};
  }
  if (found->recording == nullptr) {
    NINC_ASSIGN_OR_RETURN(found->recording, stream_->Record([&] { return body(context); }));
  }
  return stream_->Replay(*found->recording);
}

Result<std::optional<Kernel>> CudaBackend::Compile(const StepOp& step,
                                                   std::span<const Value> values) const {
  const CompileContext context{values};
  const auto compile = [&](const auto& op) { return cuda::Compile(op, context); };
  if (stream_->context().has_tf32()) return CompileEach(step, compile);
  return CompileEach(WithoutTensorCores(step), compile);
}

}  // namespace ninc::cuda
