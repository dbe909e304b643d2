// What a Model holds; Trainer works on it too.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "base/threads/mutex.h"
#include "compile/device_tensors.h"
#include "compile/execute.h"
#include "ninc/model.h"
#include "run/placement.h"

namespace ninc {

struct NINC_LOCAL Model::Impl {
  std::shared_ptr<const Graph> graph;
  std::vector<ParameterSpec> specs;
  std::map<std::string, size_t, std::less<>> numbers;  // by name

  // Held by a writer for as long as it works (a training step: forward, backward and update).
  LongMutex writer_mutex;
  // Held while what follows changes or is read; by a writer of parameters besides the lock above,
  // so that a training step may read them with that one alone.
  mutable Mutex state_mutex;
  DeviceTensors parameters;
  std::map<std::string, std::string> metadata;
  Extras extras;
  std::atomic<uint64_t> version{1};  // of the parameters; read without the lock, too

  std::atomic<Precision> precision{Precision::kFloat32};
  std::atomic<size_t> cache_limit{size_t{512} << 20};

  // Runs under way keep the placement they began with; where it changes, the writer's lock is held.
  std::shared_ptr<Placement> placement() const {
    const std::lock_guard lock(placement_mutex);
    return current;
  }
  mutable Mutex placement_mutex;
  std::shared_ptr<Placement> current;

  PlanOptions Resolve(PlanOptions options) const {
    if (options.mode == Mode::kInference) {
      options.frozen = {};
      options.update_rule = 0;
      options.class_weights = false;
    }
    if (options.output < 0) options.output = graph->output();
    options.precision = precision;
    return options;
  }
  Result<std::shared_ptr<const Plan>> PlanFor(Placement& place, const Shape& input,
                                              const PlanOptions& options, Target target);
  // The writer's lock; an error where this thread holds it, in a handler of signals that runs in
  // the middle of its own training step.
  Result<std::unique_lock<LongMutex>> LockWriter();
  // The locks of a reader, with the parameters fetched to the process's memory: the state's, and
  // while the parameters are on a device of its own memory, whose stream a trainer may be using,
  // the writer's as well.
  struct ReaderLock {
    std::unique_lock<LongMutex> writer;
    std::unique_lock<Mutex> state;
  };
  Result<ReaderLock> LockFetchedState();
  // An inference plan's weights, as of now. used: where not null, gets the state they are of.
  Result<std::shared_ptr<const PreparedSet>> PreparedFor(Placement& place, const Plan::Impl& plan,
                                                         ModelState* used = nullptr);
  // What gives the values of these nodes; where there are none, all outputs of the graph.
  Result<PlanOptions> OptionsFor(std::span<const NodeId> outputs) const;
  // x, or pictures where they are not null, and y in the caller's memory: one array for each of the
  // plan's outputs.
  Status Run(Placement& place, const Plan::Impl& plan, const PreparedSet& prepared,
             const StridedView& x, const Pictures& pictures, float* const* y);
  // Finds plan and weights, then Run.
  Status PlanAndRun(const Shape& input, const StridedView& x, const Pictures& pictures,
                    float* const* y, const PlanOptions& options, ModelState* used = nullptr);
  // With the state's lock held.
  ModelState StateNow();
  // x and y in the device's memory.
  Status RunThere(Placement& place, const Plan::Impl& plan, const PreparedSet& prepared,
                  const StridedView& x, float* const* y);
};

// Whether an array may be an extra of a file.
Status CheckExtra(const std::string& name, const Tensor& values);

// Runs `body`, which gives a Status or a Result; where memory for small things runs out, the error
// says what for. Large blocks are asked for without exceptions and report their bytes themselves.
template <typename Body>
auto CatchOutOfMemory(const char* what, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return OutOfMemory(std::string(what) + ": no memory");
  }
}

}  // namespace ninc
