#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "base/thread_pool.h"
#include "ninc/model.h"
#include "ninc/ninc.h"

struct ninc_model {
  std::shared_ptr<ninc::Model> model;
};

namespace {

using ninc::InvalidArgument;
using ninc::Result;
using ninc::Shape;
using ninc::Status;
using ninc::StatusCode;

thread_local std::string last_error;

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

Status NotNull(const void* pointer, const char* function, const char* argument) {
  if (pointer != nullptr) return {};
  return InvalidArgument(std::string(function) + ": " + argument + " is NULL");
}

Status Adopt(Result<std::shared_ptr<ninc::Model>> loaded, ninc_model** model) {
  NINC_ASSIGN_OR_RETURN(std::shared_ptr<ninc::Model> value, std::move(loaded));
  *model = new ninc_model{std::move(value)};
  return {};
}

Shape FromC(const int64_t shape[4]) { return {shape[0], shape[2], shape[3], shape[1]}; }

}  // namespace

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

ninc_status ninc_model_set_device(ninc_model* model, const char* device) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_set_device", "model"));
    NINC_RETURN_IF_ERROR(NotNull(device, "ninc_model_set_device", "device"));
    return model->model->MoveTo(device);
  });
}

ninc_status ninc_model_input_channels(const ninc_model* model, int64_t* channels) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_input_channels", "model"));
    NINC_RETURN_IF_ERROR(NotNull(channels, "ninc_model_input_channels", "channels"));
    for (const ninc::Node& node : model->model->graph().nodes()) {
      if (const auto* input = std::get_if<ninc::op::Input>(&node.op)) {
        *channels = input->channels;
        return {};
      }
    }
    return ninc::InvalidModel("ninc_model_input_channels: the network has no input");
  });
}

ninc_status ninc_model_output_shape(ninc_model* model, const int64_t input_shape[4],
                                    int64_t output_shape[4]) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_output_shape", "model"));
    NINC_RETURN_IF_ERROR(NotNull(input_shape, "ninc_model_output_shape", "input_shape"));
    NINC_RETURN_IF_ERROR(NotNull(output_shape, "ninc_model_output_shape", "output_shape"));
    NINC_ASSIGN_OR_RETURN(const Shape output, model->model->OutputShape(FromC(input_shape)));
    output_shape[0] = output.n;
    output_shape[1] = output.c;
    output_shape[2] = output.h;
    output_shape[3] = output.w;
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
    if (capacity < static_cast<size_t>(output.size())) {
      return InvalidArgument("ninc_model_run: y needs room for " + std::to_string(output.size()) +
                             " floats (" + output.ToString() + "), got " +
                             std::to_string(capacity));
    }
    const int64_t plane = input.h * input.w;
    return model->model->Run(input, {x, {input.c * plane, plane, input.w, 1}}, y);
  });
}

ninc_status ninc_model_metadata(const ninc_model* model, const char* key, const char** text) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_metadata", "model"));
    NINC_RETURN_IF_ERROR(NotNull(key, "ninc_model_metadata", "key"));
    NINC_RETURN_IF_ERROR(NotNull(text, "ninc_model_metadata", "text"));
    const ninc::Model& constant = *model->model;
    const auto found = constant.metadata().find(key);
    *text = found == constant.metadata().end() ? nullptr : found->second.c_str();
    return {};
  });
}

ninc_status ninc_model_free(ninc_model* model) {
  delete model;
  return NINC_OK;
}

}  // extern "C"
