// Brings a picture of any size to the network's size and channels: cuts, pads or squashes it, as
// Framing does in python/ninc/preprocess/framing.py.
#pragma once

#include <array>
#include <cstdint>

#include "ninc/status.h"
#include "preprocess/resize.h"

namespace ninc {

struct Framing {
  // What is done to a picture of other proportions. kCrop: its shorter side is resized and the
  // centre cut out. kPad: all of it is resized to lie within, on a ground. kSquash: height and
  // width are resized by themselves.
  enum class Fit : uint8_t { kCrop, kPad, kSquash };

  int64_t height = 0, width = 0;  // 0: pictures are taken as they are
  int64_t channels = 3;           // 3 (RGB) or 1 (grey)
  int64_t resize = 0;             // with kCrop: of the shorter side; 0: the least that covers
  Fit fit = Fit::kCrop;
  std::array<uint8_t, 3> ground{255, 255, 255};  // RGB, beside a padded picture

  bool TakesAnySize() const { return height == 0; }
};

// framed: height × width × channels bytes of the framing, or the picture's height and width where
// any size is taken. A picture that has the size and the channels already is copied untouched,
// whatever `resize` says: it is taken for one that was brought to size before.
Status Frame(const Framing& framing, const Picture& picture, uint8_t* framed);

}  // namespace ninc
