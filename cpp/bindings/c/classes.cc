// The C interface: pictures, the classes they are taken for, and maps of classes.
#include <cstdint>
#include <string>
#include <vector>

#include "bindings/c/c_api.h"
#include "ninc/class_maps.h"
#include "ninc/preprocess.h"

using namespace ninc::c_api;  // NOLINT(google-build-using-namespace): all below is their caller
using ninc::InvalidArgument;
using ninc::Shape;
using ninc::Status;

extern "C" {

ninc_status ninc_model_num_classes(const ninc_model* model, int64_t* classes) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_num_classes", "model"));
    NINC_RETURN_IF_ERROR(NotNull(classes, "ninc_model_num_classes", "classes"));
    NINC_ASSIGN_OR_RETURN(*classes, model->model->graph().OutputChannels());
    return {};
  });
}

ninc_status ninc_model_class_name(const ninc_model* model, int64_t index, const char** name) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_class_name", "model"));
    NINC_RETURN_IF_ERROR(NotNull(name, "ninc_model_class_name", "name"));
    *name = nullptr;
    if (index < 0) {
      return InvalidArgument("ninc_model_class_name: index: expected at least 0, got " +
                             std::to_string(index));
    }
    if (!model->class_names.ok()) return model->class_names.status();
    const std::vector<std::string>& names = model->class_names.value();
    if (static_cast<uint64_t>(index) < names.size()) {
      *name = names[static_cast<size_t>(index)].c_str();
    }
    return {};
  });
}

ninc_status ninc_model_classify(ninc_model* model, const uint8_t* pixels, int64_t count,
                                int64_t height, int64_t width, int64_t channels, int64_t top,
                                int64_t* classes, float* probabilities) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_classify", "model"));
    if (count != 0) {  // else none of the arrays is looked at
      NINC_RETURN_IF_ERROR(NotNull(pixels, "ninc_model_classify", "pixels"));
      NINC_RETURN_IF_ERROR(NotNull(classes, "ninc_model_classify", "classes"));
      NINC_RETURN_IF_ERROR(NotNull(probabilities, "ninc_model_classify", "probabilities"));
    }
    const Shape pictures{count, height, width, channels};
    return UntilCancelled(model, [&]() -> Status {
      NINC_ASSIGN_OR_RETURN(const auto best, ninc::Classify(*model->model, pictures, pixels, top));
      for (const ninc::TopClass& one : best) {
        *classes++ = one.index;
        *probabilities++ = one.probability;
      }
      return {};
    });
  });
}

ninc_status ninc_model_class_maps_shape(ninc_model* model, const int64_t input_shape[4],
                                        int64_t maps_shape[4]) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_class_maps_shape", "model"));
    NINC_RETURN_IF_ERROR(NotNull(input_shape, "ninc_model_class_maps_shape", "input_shape"));
    NINC_RETURN_IF_ERROR(NotNull(maps_shape, "ninc_model_class_maps_shape", "maps_shape"));
    NINC_ASSIGN_OR_RETURN(const Shape shape,
                          ninc::ClassMapsShape(*model->model, FromC(input_shape)));
    ToC(shape, maps_shape);
    return {};
  });
}

ninc_status ninc_model_class_maps(ninc_model* model, const int64_t input_shape[4], const float* x,
                                  float* maps, size_t capacity) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_class_maps", "model"));
    NINC_RETURN_IF_ERROR(NotNull(input_shape, "ninc_model_class_maps", "input_shape"));
    const Shape input = FromC(input_shape);
    NINC_ASSIGN_OR_RETURN(const Shape shape, ninc::ClassMapsShape(*model->model, input));
    if (shape.size() == 0) return {};  // an empty batch: x and maps are never looked at
    NINC_RETURN_IF_ERROR(NotNull(x, "ninc_model_class_maps", "x"));
    NINC_RETURN_IF_ERROR(NotNull(maps, "ninc_model_class_maps", "maps"));
    NINC_RETURN_IF_ERROR(CheckCapacity("ninc_model_class_maps", "maps", shape, capacity));
    return UntilCancelled(
        model, [&] { return ninc::ClassMaps(*model->model, input, Contiguous(input, x), maps); });
  });
}

}  // extern "C"
