// Shapes and views of arrays. Inside the core every activation is float32, contiguous, N×H×W×C:
// vectors run over channels, and a 1×1 convolution is a plain matrix product over pixels.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ninc/export.h"

namespace ninc {

// N×H×W×C, the last fastest. A matrix of R rows and C columns is {R, 1, 1, C}.
struct Shape {
  int64_t n = 0;
  int64_t h = 1;
  int64_t w = 1;
  int64_t c = 1;

  int64_t pixels() const { return n * h * w; }  // rows of the matrix that 1×1 layers see
  int64_t size() const { return pixels() * c; }
  bool operator==(const Shape&) const = default;
  std::string ToString() const {  // in the users' order: "1×3×32×32"
    return std::to_string(n) + "×" + std::to_string(c) + "×" + std::to_string(h) + "×" +
           std::to_string(w);
  }
};

// Where element (n, c, h, w) of an outside array stands: data[n*strides[0] + c*strides[1] + ...],
// strides counted in elements, any sign. This is how numpy's views come in without a copy.
struct StridedView {
  const float* data = nullptr;
  std::array<int64_t, 4> strides{};  // N, C, H, W
};

// A whole array that lies in memory as it is written, N×C×H×W, W the fastest.
inline StridedView Contiguous(const float* data, const Shape& shape) {
  return {data, {shape.c * shape.h * shape.w, shape.h * shape.w, shape.w, 1}};
}

// Pictures as they come out of files, N×H×W×C bytes, contiguous, and what they mean to a network:
// pixel * scale(c) + shift(c), with one scale and one shift a channel.
struct Pictures {
  const uint8_t* data = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
};

// How a file keeps an array's numbers, which are float32 in memory.
enum class Storage : uint8_t { kFloat32, kFloat16, kBfloat16 };

// A named array of the network, in the layout users see (convolutions O×I×H×W, linear O×I).
struct Tensor {
  std::vector<int64_t> dims;
  std::vector<float> data;

  int64_t size() const {
    int64_t product = 1;
    for (int64_t dim : dims) product *= dim;
    return product;
  }
};

// Arrays that several share, since none of them is ever written to.
using SharedTensors = std::vector<std::shared_ptr<const Tensor>>;

// "192×96×5×5"
inline std::string DimsToString(const std::vector<int64_t>& dims) {
  std::string text;
  for (size_t i = 0; i < dims.size(); ++i) text += (i ? "×" : "") + std::to_string(dims[i]);
  return dims.empty() ? "scalar" : text;
}

}  // namespace ninc
