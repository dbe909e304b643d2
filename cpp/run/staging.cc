#include "run/staging.h"

#include <vector>

namespace ninc {
namespace {

std::vector<float> Gather(const Shape& shape, const StridedView& x) {
  std::vector<float> values;
  values.reserve(static_cast<size_t>(shape.size()));
  for (int64_t n = 0; n < shape.n; ++n) {
    for (int64_t c = 0; c < shape.c; ++c) {
      for (int64_t h = 0; h < shape.h; ++h) {
        const float* row = x.data + n * x.strides[0] + c * x.strides[1] + h * x.strides[2];
        for (int64_t w = 0; w < shape.w; ++w) values.push_back(row[w * x.strides[3]]);
      }
    }
  }
  return values;
}

}  // namespace

Status WriteInput(Backend& stream, const Shape& shape, const StridedView& x, std::byte* to,
                  StridedView* view) {
  const StridedView contiguous{reinterpret_cast<const float*>(to),
                               {shape.c * shape.h * shape.w, shape.h * shape.w, shape.w, 1}};
  const size_t bytes = static_cast<size_t>(shape.size()) * sizeof(float);
  *view = contiguous;
  if (x.strides == contiguous.strides) return stream.Write(to, x.data, bytes);
  return stream.Write(to, Gather(shape, x).data(), bytes);
}

Status WritePictures(Backend& stream, const Shape& shape, std::byte* memory,
                     const RunLayout& layout, Pictures* pictures) {
  const size_t row = static_cast<size_t>(shape.c) * sizeof(float);
  const auto count = static_cast<size_t>(shape.size());
  NINC_RETURN_IF_ERROR(stream.Write(memory + layout.input, pictures->data, count));
  NINC_RETURN_IF_ERROR(stream.Write(memory + layout.scale, pictures->scale, row));
  NINC_RETURN_IF_ERROR(stream.Write(memory + layout.shift, pictures->shift, row));
  *pictures = {reinterpret_cast<const uint8_t*>(memory + layout.input),
               reinterpret_cast<const float*>(memory + layout.scale),
               reinterpret_cast<const float*>(memory + layout.shift)};
  return {};
}

}  // namespace ninc
