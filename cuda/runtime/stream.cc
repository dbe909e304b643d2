#include "cuda/runtime/stream.h"

#include "cuda/runtime/current.h"
#include "cuda/runtime/staging.h"

namespace ninc::cuda {
namespace {

abi::DevicePointer Address(const void* pointer) {
  return reinterpret_cast<abi::DevicePointer>(pointer);
}

}  // namespace

Recording::~Recording() {
  const Current current(context_);
  if (!current.status().ok()) return;
  context_.driver().GraphExecDestroy(executable_);
}

Stream::Stream(Context& context, abi::Stream stream) : context_(context), stream_(stream) {}

Stream::~Stream() {
  const Current current(context_);
  if (!current.status().ok()) return;
  // Whoever lets go of a stream asks no more about its work, but the device learns here if it is
  // lost, so that what follows does not touch it.
  (void)context_.Check(context_.driver().StreamSynchronize(stream_), "cuda: a stream's last work");
  staging_.reset();
  if (context_.CheckUsable().ok()) context_.driver().StreamDestroy(stream_);
}

Status Stream::Failed(abi::Result code, const char* what) {
  std::string where = std::string("cuda: ") + what;
  // Kernels fail after their launch has returned: the one at fault is not known, the last one is.
  const char* const last = last_kernel_;
  if (IsLost(code) && last != nullptr) where += std::string(" after ") + last;
  return context_.Check(code, where);
}

Status Stream::LaunchRaw(const KernelId& kernel, const Grid& grid, const void* args, size_t bytes) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return {};
  const Current current(context_);
  NINC_RETURN_IF_ERROR(current.status());
  NINC_ASSIGN_OR_RETURN(const abi::Function function,
                        context_.FindKernel(kernel, bytes, grid.shared_bytes));
  void* parameters[] = {const_cast<void*>(args)};  // read before the call returns
  const abi::Result code =
      context_.driver().LaunchKernel(function, grid.x, grid.y, grid.z, grid.threads, 1, 1,
                                     grid.shared_bytes, stream_, parameters, nullptr);
  // That an earlier kernel failed may show here, and is not this one's fault.
  if (IsLost(code)) return Failed(code, "launching a kernel");
  if (code != abi::kSuccess) {
    return context_.Check(
        code, std::string("cuda: ") + kernel.name + ": launch of " + std::to_string(grid.x) + "x" +
                  std::to_string(grid.y) + "x" + std::to_string(grid.z) + " blocks of " +
                  std::to_string(grid.threads) + " threads and " +
                  std::to_string(grid.shared_bytes) + " bytes of shared memory failed");
  }
  last_kernel_ = kernel.name;
  return {};
}

Result<Staging*> Stream::GetStaging() {
  if (recording_) {
    return DeviceFailure("cuda: a recording cannot hold copies from or to the host");
  }
  if (!staging_) {
    NINC_ASSIGN_OR_RETURN(staging_, Staging::Make(context_));
  }
  return staging_.get();
}

Status Stream::CopyIn(void* device, const void* host, size_t bytes) {
  if (bytes == 0) return {};
  const Current current(context_);
  NINC_RETURN_IF_ERROR(current.status());
  NINC_ASSIGN_OR_RETURN(Staging * staging, GetStaging());
  return Failed(staging->CopyIn(stream_, Address(device), host, bytes), "copying to the device");
}

Status Stream::CopyOut(void* host, const void* device, size_t bytes) {
  if (bytes == 0) return {};
  const Current current(context_);
  NINC_RETURN_IF_ERROR(current.status());
  NINC_ASSIGN_OR_RETURN(Staging * staging, GetStaging());
  return Failed(staging->CopyOut(stream_, host, Address(device), bytes), "copying from the device");
}

Status Stream::CopyWithin(void* to, const void* from, size_t bytes) {
  if (bytes == 0) return {};
  const Current current(context_);
  NINC_RETURN_IF_ERROR(current.status());
  return Failed(context_.driver().MemcpyDtoDAsync(Address(to), Address(from), bytes, stream_),
                "copying on the device");
}

Status Stream::Zero(void* device, size_t bytes) {
  if (bytes == 0) return {};
  const Current current(context_);
  NINC_RETURN_IF_ERROR(current.status());
  return Failed(context_.driver().MemsetD8Async(Address(device), 0, bytes, stream_),
                "zeroing memory of the device");
}

Status Stream::Synchronize() {
  const Current current(context_);
  NINC_RETURN_IF_ERROR(current.status());
  if (recording_) return DeviceFailure("cuda: a recording cannot wait for the device");
  return Failed(context_.driver().StreamSynchronize(stream_), "waiting for the device");
}

Result<std::unique_ptr<Recording>> Stream::Record(const std::function<Status()>& body) {
  constexpr char kWhat[] = "recording";
  const Current current(context_);
  NINC_RETURN_IF_ERROR(current.status());
  const Driver& driver = context_.driver();
  // Relaxed: other threads allocate and load kernels as they like meanwhile, and so may this one.
  NINC_RETURN_IF_ERROR(Failed(driver.StreamBeginCapture(stream_, abi::kCaptureRelaxed), kWhat));
  recording_ = true;
  Status made;
  try {
    made = body();
  } catch (...) {  // no memory: the stream must not stay a recorder
    FinishRecording(nullptr);
    throw;
  }
  abi::Graph graph = nullptr;
  const abi::Result ended = FinishRecording(&graph);
  abi::GraphExec executable = nullptr;
  if (made.ok()) made = Failed(ended, kWhat);
  if (made.ok()) made = Failed(driver.GraphInstantiate(&executable, graph, 0), kWhat);
  if (graph != nullptr) driver.GraphDestroy(graph);
  NINC_RETURN_IF_ERROR(made);
  return std::make_unique<Recording>(context_, executable);
}

abi::Result Stream::FinishRecording(abi::Graph* graph) {
  recording_ = false;
  abi::Graph unwanted = nullptr;
  const abi::Result ended =
      context_.driver().StreamEndCapture(stream_, graph != nullptr ? graph : &unwanted);
  if (unwanted != nullptr) context_.driver().GraphDestroy(unwanted);
  return ended;
}

Status Stream::Replay(const Recording& recording) {
  const Current current(context_);
  NINC_RETURN_IF_ERROR(current.status());
  last_kernel_ = "a recording";
  return Failed(context_.driver().GraphLaunch(recording.executable(), stream_),
                "replaying a recording");
}

}  // namespace ninc::cuda
