#include "train/loop/check_data.h"

#include <initializer_list>

#include "run/check_arguments.h"

namespace ninc {
namespace {

// No machine has so many numbers, and byte counts stay far from overflow.
constexpr int64_t kMostElements = int64_t{1} << 48;

Status CheckShape(const Shape& shape) {
  int64_t size = 1;
  for (int64_t extent : {shape.n, shape.c, shape.h, shape.w}) {
    if (extent < 1) {
      return InvalidShape("data.shape: sizes must be at least 1, got " + shape.ToString());
    }
    if (__builtin_mul_overflow(size, extent, &size) || size > kMostElements) {
      return InvalidShape("data.shape: at most 2^48 numbers, got " + shape.ToString());
    }
  }
  return {};
}

}  // namespace

Status CheckData(const LabelledPictures& data, int64_t batch_size) {
  NINC_RETURN_IF_ERROR(CheckShape(data.shape));
  if (data.pictures == nullptr) {
    return NullPointer("data.pictures", data.shape.ToString() + " values");
  }
  if (data.labels == nullptr) {
    return NullPointer("data.labels", std::to_string(data.shape.n) + " labels, one a picture");
  }
  if (batch_size >= 1) return {};
  return InvalidArgument("batch_size must be at least 1, got " + std::to_string(batch_size));
}

}  // namespace ninc
