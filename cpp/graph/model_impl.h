// What a Model holds; Trainer works on it too.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "graph/arena.h"
#include "graph/execute.h"
#include "graph/plan_cache.h"
#include "graph/prepared.h"
#include "ninc/model.h"

namespace ninc {

struct Model::Impl {
  std::shared_ptr<const Graph> graph;
  std::vector<ParameterSpec> specs;
  std::map<std::string, size_t, std::less<>> numbers;  // by name
  std::vector<Tensor> parameters;
  std::map<std::string, std::string> metadata;
  Extras extras;
  Backend* backend = nullptr;

  // Held by a writer for as long as it works (a training step: forward, backward and update).
  std::mutex writer_mutex;
  // Held while parameters change, and while they are read to be packed for inference.
  std::mutex parameters_mutex;
  std::atomic<uint64_t> version{1};

  std::atomic<Precision> precision{Precision::kFloat32};
  PreparedCache prepared;
  PlanCache plans;
  ArenaPool arenas;
  std::atomic<size_t> cache_limit{size_t{512} << 20};

  PlanOptions Resolve(PlanOptions options) const {
    if (options.output < 0) options.output = graph->output();
    options.precision = precision;
    return options;
  }
  Result<std::shared_ptr<const Plan>> PlanFor(const Shape& input, const PlanOptions& options);
  // An inference plan's weights, as of now.
  Result<std::shared_ptr<const PreparedSet>> PreparedFor(const Plan::Impl& plan);
  size_t CacheBytes() const { return plans.bytes() + prepared.live_bytes() + arenas.idle_bytes(); }
  // Drops plans and arenas until the cache fits its limit.
  void TrimCache();
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
