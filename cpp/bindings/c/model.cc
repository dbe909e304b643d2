// The C interface: models loaded, run and saved. Pictures and classes are in classes.cc.
#include "bindings/c/c_api.h"

#include <string>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "base/threads/thread_pool.h"
#include "ninc/preprocess.h"

namespace ninc::c_api {
namespace {

thread_local std::string last_error;

Status Adopt(Result<std::shared_ptr<Model>> loaded, ninc_model** model) {
  NINC_ASSIGN_OR_RETURN(std::shared_ptr<Model> value, std::move(loaded));
  // Names that make no sense are told to those who ask for them: the model may still be run.
  Result<std::vector<std::string>> names = ClassNames(*value);
  *model = new ninc_model{value, std::as_const(*value).metadata(), std::move(names)};
  return {};
}

Result<Precision> PrecisionOf(std::string_view name) {
  if (name == "float32") return Precision::kFloat32;
  if (name == "strict") return Precision::kStrict;
  if (name == "fast") return Precision::kFast;
  return InvalidArgument(
      "ninc_model_set_precision: precision: expected float32, strict or fast, got '" +
      Excerpt(name) + "'");
}

}  // namespace

ninc_status ToC(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return NINC_OK;
    case StatusCode::kInvalidShape:
      return NINC_INVALID_SHAPE;
    case StatusCode::kInvalidArgument:
      return NINC_INVALID_ARGUMENT;
    case StatusCode::kInvalidModel:
      return NINC_INVALID_MODEL;
    case StatusCode::kDevice:
      return NINC_DEVICE;
    case StatusCode::kIo:
      return NINC_IO;
    case StatusCode::kOutOfMemory:
      return NINC_OUT_OF_MEMORY;
    case StatusCode::kCancelled:
      return NINC_CANCELLED;
  }
  return NINC_INTERNAL;
}

ninc_status Remember(ninc_status status, const char* message) noexcept {
  try {
    last_error = message;
  } catch (...) {  // no memory for the message: the status must do
    last_error.clear();
  }
  return status;
}

Status NotNull(const void* pointer, const char* function, const char* argument) {
  if (pointer != nullptr) return {};
  return InvalidArgument(std::string(function) + ": " + argument + " is NULL");
}

void ToC(const Shape& shape, int64_t to[4]) {
  to[0] = shape.n;
  to[1] = shape.c;
  to[2] = shape.h;
  to[3] = shape.w;
}

StridedView Contiguous(const Shape& shape, const float* x) {
  const int64_t plane = shape.h * shape.w;
  return {x, {shape.c * plane, plane, shape.w, 1}};
}

Status CheckCapacity(const char* function, const char* argument, const Shape& shape,
                     size_t capacity) {
  if (capacity >= static_cast<size_t>(shape.size())) return {};
  return InvalidArgument(std::string(function) + ": " + argument + " needs room for " +
                         std::to_string(shape.size()) + " floats (" + shape.ToString() + "), got " +
                         std::to_string(capacity));
}

}  // namespace ninc::c_api

using namespace ninc::c_api;  // NOLINT(google-build-using-namespace): all below is their caller
using ninc::InvalidArgument;
using ninc::Result;
using ninc::Shape;
using ninc::Status;

extern "C" {

const char* ninc_last_error(void) { return last_error.c_str(); }

const char* ninc_version(void) { return NINC_VERSION; }

ninc_status ninc_set_num_threads(int threads) {
  return Guard([&]() -> Status {
    if (threads < 1) {
      return InvalidArgument("ninc_set_num_threads: expected at least 1, got " +
                             std::to_string(threads));
    }
    ninc::SetNumThreads(threads);
    return {};
  });
}

ninc_status ninc_model_load(const char* path, ninc_model** model) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_load", "model"));
    *model = nullptr;
    NINC_RETURN_IF_ERROR(NotNull(path, "ninc_model_load", "path"));
    return Adopt(ninc::Load(path), model);
  });
}

ninc_status ninc_model_load_memory(const void* data, size_t size, ninc_model** model) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_load_memory", "model"));
    *model = nullptr;
    NINC_RETURN_IF_ERROR(NotNull(data, "ninc_model_load_memory", "data"));
    return Adopt(ninc::LoadMemory(data, size, "memory"), model);
  });
}

ninc_status ninc_model_save(const ninc_model* model, const char* path) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_save", "model"));
    NINC_RETURN_IF_ERROR(NotNull(path, "ninc_model_save", "path"));
    return ninc::Save(*model->model, path);
  });
}

ninc_status ninc_model_set_device(ninc_model* model, const char* device) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_set_device", "model"));
    NINC_RETURN_IF_ERROR(NotNull(device, "ninc_model_set_device", "device"));
    return model->model->MoveTo(device);
  });
}

ninc_status ninc_model_set_precision(ninc_model* model, const char* precision) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_set_precision", "model"));
    NINC_RETURN_IF_ERROR(NotNull(precision, "ninc_model_set_precision", "precision"));
    NINC_ASSIGN_OR_RETURN(const ninc::Precision value, PrecisionOf(precision));
    model->model->SetPrecision(value);
    return {};
  });
}

ninc_status ninc_model_set_plan_cache_bytes(ninc_model* model, size_t bytes) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_set_plan_cache_bytes", "model"));
    model->model->SetPlanCacheBytes(bytes);
    return {};
  });
}

ninc_status ninc_model_plan_cache_bytes(const ninc_model* model, size_t* bytes) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_plan_cache_bytes", "model"));
    NINC_RETURN_IF_ERROR(NotNull(bytes, "ninc_model_plan_cache_bytes", "bytes"));
    *bytes = model->model->PlanCacheBytes();
    return {};
  });
}

ninc_status ninc_model_input_channels(const ninc_model* model, int64_t* channels) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_input_channels", "model"));
    NINC_RETURN_IF_ERROR(NotNull(channels, "ninc_model_input_channels", "channels"));
    NINC_ASSIGN_OR_RETURN(*channels, ninc::InputChannels(*model->model));
    return {};
  });
}

ninc_status ninc_model_output_shape(ninc_model* model, const int64_t input_shape[4],
                                    int64_t output_shape[4]) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_output_shape", "model"));
    NINC_RETURN_IF_ERROR(NotNull(input_shape, "ninc_model_output_shape", "input_shape"));
    NINC_RETURN_IF_ERROR(NotNull(output_shape, "ninc_model_output_shape", "output_shape"));
    NINC_ASSIGN_OR_RETURN(const Shape output, model->model->OutputShape(FromC(input_shape)));
    ToC(output, output_shape);
    return {};
  });
}

ninc_status ninc_model_cancel(ninc_model* model) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_cancel", "model"));
    model->CancelRuns();
    return {};
  });
}

ninc_status ninc_model_run(ninc_model* model, const int64_t input_shape[4], const float* x,
                           float* y, size_t capacity) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_run", "model"));
    NINC_RETURN_IF_ERROR(NotNull(input_shape, "ninc_model_run", "input_shape"));
    const Shape input = FromC(input_shape);
    NINC_ASSIGN_OR_RETURN(const Shape output, model->model->OutputShape(input));
    if (output.size() == 0) return {};  // an empty batch: x and y are never looked at
    NINC_RETURN_IF_ERROR(NotNull(x, "ninc_model_run", "x"));
    NINC_RETURN_IF_ERROR(NotNull(y, "ninc_model_run", "y"));
    NINC_RETURN_IF_ERROR(CheckCapacity("ninc_model_run", "y", output, capacity));
    return UntilCancelled(model, [&] { return model->model->Run(input, Contiguous(input, x), y); });
  });
}

ninc_status ninc_model_metadata(const ninc_model* model, const char* key, const char** text) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(text, "ninc_model_metadata", "text"));
    *text = nullptr;
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_metadata", "model"));
    NINC_RETURN_IF_ERROR(NotNull(key, "ninc_model_metadata", "key"));
    const auto found = model->metadata.find(key);
    if (found != model->metadata.end()) *text = found->second.c_str();
    return {};
  });
}

ninc_status ninc_model_free(ninc_model* model) {
  delete model;
  return NINC_OK;
}

}  // extern "C"
