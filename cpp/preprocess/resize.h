// Bilinear resizing of 8-bit pictures, to the same bytes as Image.resize in Pillow 13: networks are
// trained on pictures that Pillow brought to size.
#pragma once

#include <cstdint>

#include "ninc/status.h"

namespace ninc {

// H×W×C bytes, C the fastest, lines one after another.
struct Picture {
  const uint8_t* pixels = nullptr;
  int64_t height = 0, width = 0, channels = 0;
  int64_t bytes() const { return height * width * channels; }
};

// What happens along one direction: the stretch from `begin` to `end` of the source becomes `size`
// pixels, of which `count` from number `first` on are wanted.
struct Resizing {
  float begin = 0, end = 0;
  int64_t size = 0;
  int64_t first = 0, count = 0;

  // All of a side becomes all of another.
  static Resizing Whole(int64_t from, int64_t to) {
    return {0.0f, static_cast<float>(from), to, 0, to};
  }
};

// No side that is resized may be longer: weights would lose their digits.
constexpr int64_t kLargestSide = int64_t{1} << 20;

// y[i, j, c] = sum over r, s of down[i, r] * across[j, s] * x[r, s, c]
// where a pixel's weights fall off evenly from its centre to the centres of its neighbours, or as
// far as it spreads over the source where that is larger. They are rounded to 22 binary places.
// One of the two sums is taken first for the whole picture and rounded to bytes: that down where
// the picture loses more than twice as many rows as columns, else that across.
//
// to: down.count lines of across.count pixels, whose beginnings are `stride` bytes apart.
Status Resize(const Picture& source, const Resizing& down, const Resizing& across, uint8_t* to,
              int64_t stride);

}  // namespace ninc
