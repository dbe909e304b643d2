// Arrays as they may come from outside.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ninc/tensor.h"

namespace ninc::test {

// One way in which a numpy array N×C×H×W may lie in memory.
struct Arrangement {
  const char* name;
  std::array<int64_t, 4> strides;  // N, C, H, W
  int64_t origin;                  // where element (0, 0, 0, 0) stands
};

inline std::vector<Arrangement> Arrangements(const Shape& s) {
  const int64_t image = s.h * s.w * s.c, plane = s.h * s.w;
  return {
      {"contiguous", {image, plane, s.w, 1}, 0},
      {"channels last", {image, 1, s.w * s.c, s.c}, 0},
      {"every second", {4 * image, 2 * plane, 2 * s.w, 2}, 1},
      {"mirrored", {image, plane, s.w, -1}, s.w - 1},
      {"all reversed", {-image, -plane, -s.w, -1}, s.n * image - 1},
      {"transposed", {image, plane, 1, s.h}, 0},
      {"one plane for all channels", {plane, 0, s.w, 1}, 0},
      {"one value for all", {0, 0, 0, 0}, 0},
  };
}

inline const Shape kLayoutShapes[] = {{2, 5, 7, 3},   {1, 1, 1, 1},   {3, 1, 1, 10},
                                      {2, 32, 33, 3}, {2, 6, 6, 100}, {1, 17, 16, 17},
                                      {2, 8, 40, 1},  {0, 4, 4, 3}};

// The elements of such an array, N×H×W×C.
inline std::vector<double> ChannelsLast(const Shape& shape, const Arrangement& arrangement,
                                        const std::vector<float>& memory) {
  const auto& [sn, sc, sh, sw] = arrangement.strides;
  std::vector<double> values;
  for (int64_t n = 0; n < shape.n; ++n) {
    for (int64_t h = 0; h < shape.h; ++h) {
      for (int64_t w = 0; w < shape.w; ++w) {
        for (int64_t c = 0; c < shape.c; ++c) {
          values.push_back(memory[arrangement.origin + n * sn + c * sc + h * sh + w * sw]);
        }
      }
    }
  }
  return values;
}

}  // namespace ninc::test
