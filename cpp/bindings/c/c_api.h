// What the files of the C interface share: the handle, and how a Status becomes a ninc_status.
#pragma once

#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "base/threads/mutex.h"
#include "ninc/cancel.h"
#include "ninc/model.h"
#include "ninc/ninc.h"
#include "ninc/status.h"

struct ninc_model {
  std::shared_ptr<ninc::Model> model;
  // As loaded: what ninc_model_metadata and ninc_model_class_name give has to live as long as the
  // handle. Nothing in the C interface changes them.
  std::map<std::string, std::string> metadata;
  ninc::Result<std::vector<std::string>> class_names;

  // What calls that begin now run under.
  std::shared_ptr<ninc::Cancellation> CurrentRuns() {
    const std::lock_guard lock(mutex);
    return runs;
  }
  // Cancels those that have begun.
  void CancelRuns() {
    auto later = std::make_shared<ninc::Cancellation>();
    const std::lock_guard lock(mutex);
    runs->Cancel();
    runs = std::move(later);
  }

  ninc::Mutex mutex = {};
  std::shared_ptr<ninc::Cancellation> runs = std::make_shared<ninc::Cancellation>();
};

namespace ninc::c_api {

ninc_status ToC(StatusCode code);

// Keeps the message for ninc_last_error.
ninc_status Remember(ninc_status status, const char* message) noexcept;

// Runs `function` (which returns a Status), keeps its message and lets no exception into C.
template <typename Function>
ninc_status Guard(Function function) noexcept {
  try {
    const Status status = function();
    return status.ok() ? NINC_OK : Remember(ToC(status.code()), status.message().c_str());
  } catch (const std::bad_alloc&) {
    return Remember(NINC_OUT_OF_MEMORY, "not enough memory");
  } catch (const std::exception& error) {
    return Remember(NINC_INTERNAL, error.what());
  } catch (...) {
    return Remember(NINC_INTERNAL, "unknown exception");
  }
}

// Runs `function` (which returns a Status) so that ninc_model_cancel may end it.
template <typename Function>
Status UntilCancelled(ninc_model* model, Function function) {
  const std::shared_ptr<Cancellation> runs = model->CurrentRuns();
  const CancellationScope scope(runs.get());
  return function();
}

Status NotNull(const void* pointer, const char* function, const char* argument);

// N, C, H, W in the users' order, and back.
inline Shape FromC(const int64_t shape[4]) { return {shape[0], shape[2], shape[3], shape[1]}; }
void ToC(const Shape& shape, int64_t to[4]);

// An N×C×H×W array of floats, contiguous.
StridedView Contiguous(const Shape& shape, const float* x);

// InvalidArgument where an output array of `capacity` floats is too small for the shape.
Status CheckCapacity(const char* function, const char* argument, const Shape& shape,
                     size_t capacity);

}  // namespace ninc::c_api
