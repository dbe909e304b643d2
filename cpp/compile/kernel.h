// What one step of a plan becomes on a device: chosen once, when the plan is compiled, and run any
// number of times. Compiling fixes the algorithm, the layout of its arrays and the order of its
// sums; a run may split work by the threads there are and look at how arrays are aligned, nothing
// else. One exception: on a GPU the sums over rows (bias gradients, batch norm) of arrays that are
// not aligned to 16 bytes, which a plan's never are, take another order.
//
// A kernel works on memory of its backend alone, labels and results included. It has nothing to
// check, since a plan is made of what was checked; its Status tells failures of the device. It
// allocates nothing: scratch memory comes with the run.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "compile/device_tensors.h"
#include "compile/memory.h"
#include "compile/prepared_set.h"
#include "compile/program.h"
#include "ninc/backend.h"

namespace ninc {

// What differs from one run of a program to the next. All memory is the backend's.
struct RunArguments {
  StridedView x;
  Pictures pictures;                         // in place of x where its data is not null
  DeviceTensors* parameters = nullptr;       // training works on them as they are
  const PreparedSet* prepared = nullptr;     // inference has them prepared
  std::byte* arena = nullptr;                // MemoryLayout::bytes
  Workspace workspace;                       // of the largest kernel
  float* const* outputs = nullptr;           // inference: the caller's arrays, one an output
  std::byte* output_memory = nullptr;        // in their place: all outputs, by Value::offset
  const int64_t* labels = nullptr;           // training, as all below
  StepState* state = nullptr;                // dropout's key is read, loss and correct are written
  bool dropout = true;                       // false: nothing is dropped
  std::optional<float> norm_momentum = {};   // in place of every batch norm's own
  const ParameterUpdate* updates = nullptr;  // by parameter
  const float* class_weights = nullptr;      // by class, of a loss that is weighted
  double* sums = nullptr;                    // of squares, by gradient
  DeviceTensors* optimizer_state = nullptr;  // by OptimizerStateIndex
  DeviceTensors* averages = nullptr;         // by parameter; empty where none are kept
  // Of a batch in shards (compile/steps/shards.h).
  bool weights_are_packed = false;         // by the run before, whose arena is this one's
  float* shard_sum = nullptr;              // Program::shard_sum_size floats
  const float* other_shard_sum = nullptr;  // likewise
  bool first_shard = true;                 // whether the sum begins with this shard
  float shard_share = 1.0f;                // the shard's share of the batch's examples
};

// One run, as its kernels see it: where the values of their steps lie.
class Run {
 public:
  Run(const Program& program, const MemoryLayout& layout, Backend& stream,
      const RunArguments& arguments)
      : program_(program), layout_(layout), stream_(stream), arguments_(arguments) {}

  // The stream to queue work on; the one that compiled the kernel is another.
  Backend& stream() const { return stream_; }
  const RunArguments& arguments() const { return arguments_; }
  const Workspace& scratch() const { return arguments_.workspace; }
  int threads() const { return arguments_.workspace.threads(); }
  const Shape& shape(ValueId v) const { return program_.values[v].shape; }

  // A value's memory; null for kNoValue.
  float* Out(ValueId v) const;
  const float* In(ValueId v) const { return Out(v); }
  uint8_t* Bytes(ValueId v) const { return reinterpret_cast<uint8_t*>(Out(v)); }

  // The training step's random numbers; null where nothing is dropped.
  const DropoutKey* Key() const {
    return arguments_.state != nullptr && arguments_.dropout ? &arguments_.state->key : nullptr;
  }

 private:
  const Program& program_;
  const MemoryLayout& layout_;
  Backend& stream_;
  const RunArguments& arguments_;
};

// One algorithm that a convolution may take, and how long that is estimated to take one core, less
// what all algorithms do alike.
struct Conv2dEstimate {
  std::string algorithm;
  double nanoseconds = 0;
};

// One pass of one convolution that a kernel computes, for Plan::Describe.
struct ConvolutionChoice {
  size_t layer;  // which of the step's convolutions it is of
  Pass pass;
  double flops = 0;
  std::string algorithm;                   // "implicit gemm 8×48"
  std::vector<Conv2dEstimate> candidates;  // what was weighed, the chosen first; or nothing
  std::string block;  // what it takes at a time, "64 tiles"; empty where nothing is to be said
};

// What gives nothing where others give a Status.
template <class What>
concept CannotFail = std::is_void_v<std::invoke_result_t<const What&, const Run&>>;

// Never changes; serves any thread and any stream of its device. Moved, not copied.
struct Kernel {
  Kernel() = default;
  Kernel(const WorkspaceSize& memory, std::function<Status(const Run&)> what);
  template <CannotFail What>
  Kernel(const WorkspaceSize& memory, What what)
      : Kernel(memory, std::function<Status(const Run&)>([what = std::move(what)](const Run& run) {
                 what(run);
                 return Status();
               })) {}
  // Of either, without scratch memory.
  template <std::invocable<const Run&> What>
  Kernel(What what) : Kernel(WorkspaceSize(), std::move(what)) {}  // NOLINT
  Kernel(Kernel&&) noexcept;
  Kernel& operator=(Kernel&&) noexcept;
  ~Kernel();

  double Flops() const;  // of its convolutions

  // What its step is called, and the layers that the step computes; of a step by itself nothing.
  std::string kind;
  std::vector<std::string> layers;
  std::function<Status(const Run&)> run;
  WorkspaceSize scratch;
  std::vector<Packing> packings;  // of the packed weights it reads, in order
  std::vector<ConvolutionChoice> convolutions;
  // Bytes that a forward step leaves for its backward step, of the kernel's own making.
  size_t trace_bytes = 0;
};

// A step's kernel. None: the device has no kernel for this fused step, which stays unfused. An
// error: the step is beyond the device.
class Compiled : public Result<std::optional<Kernel>> {
 public:
  using Result::Result;
  Compiled(Kernel kernel);  // NOLINT(google-explicit-constructor)
};

// What a backend's Compile hands its steps to: compile(step), which must take every kind of step
// but PackWeights, whose kernel is the Packing of the step that reads the weights (execute.cc), and
// those at which the trainer joins the shards of a batch, where no kernel has anything to do.
template <typename CompileStep>
Compiled CompileEach(const StepOp& step, const CompileStep& compile) {
  return std::visit(
      [&]<typename Op>(const Op& op) -> Compiled {
        if constexpr (std::is_same_v<Op, step::PackWeights>) {
          return std::optional<Kernel>();
        } else if constexpr (OneOf<Op, JoiningStepList>) {
          return Kernel([](const Run&) {});
        } else {
          return compile(op);
        }
      },
      step);
}

}  // namespace ninc
