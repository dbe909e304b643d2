#include "preprocess/framing.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/memory_limit.h"

namespace ninc {
namespace {

// Pictures are resized from all of their pixels up to this size. Beyond it only the piece that
// stays is, from where it lies in the picture, which Python does to save memory and which gives
// other bytes.
constexpr int64_t kMostPixels = int64_t{1} << 26;

struct Size {
  int64_t height = 0, width = 0;
};

// The luma of ITU-R 601-2 in 16 binary places, as Pillow has it.
uint8_t Grey(const uint8_t* rgb) {
  return static_cast<uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
}

void ConvertChannels(const Picture& picture, int64_t channels, uint8_t* to) {
  const uint8_t* from = picture.pixels;
  const int64_t pixels = picture.height * picture.width;
  if (channels == 1) {
    for (int64_t i = 0; i < pixels; ++i) to[i] = Grey(from + 3 * i);
  } else {
    for (int64_t i = 0; i < pixels; ++i) std::fill_n(to + 3 * i, 3, from[i]);
  }
}

// Halves go to the even neighbour, as with Python's round().
int64_t Rounded(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

// The size that `side` of the picture has when all of it is resized by `ratio`.
int64_t Scaled(int64_t side, double ratio) { return Rounded(static_cast<double>(side) * ratio); }

double Ratio(int64_t to, int64_t from) {
  return static_cast<double>(to) / static_cast<double>(from);
}

// The size of the resized picture that the centre is cut out of.
Size Covering(const Framing& framing, const Picture& picture) {
  const double ratio =
      framing.resize == 0
          ? std::max(Ratio(framing.height, picture.height), Ratio(framing.width, picture.width))
          : Ratio(framing.resize, std::min(picture.height, picture.width));
  return {std::max(framing.height, Scaled(picture.height, ratio)),
          std::max(framing.width, Scaled(picture.width, ratio))};
}

// The stretch of the picture's side that `count` pixels from `first` on show, where all of the side
// would become `size` pixels.
Resizing Piece(int64_t side, int64_t size, int64_t first, int64_t count) {
  const double step = Ratio(side, size);
  return {static_cast<float>(static_cast<double>(first) * step),
          static_cast<float>(static_cast<double>(first + count) * step), count, 0, count};
}

Status Crop(const Framing& framing, const Picture& picture, uint8_t* framed) {
  const Size size = Covering(framing, picture);
  const int64_t top = (size.height - framing.height) / 2, left = (size.width - framing.width) / 2;
  const int64_t stride = framing.width * picture.channels;
  if (size.height * size.width > kMostPixels) {
    return Resize(picture, Piece(picture.height, size.height, top, framing.height),
                  Piece(picture.width, size.width, left, framing.width), framed, stride);
  }
  Resizing down = Resizing::Whole(picture.height, size.height);
  Resizing across = Resizing::Whole(picture.width, size.width);
  // What is cut away need not be computed.
  down.first = top, down.count = framing.height;
  across.first = left, across.count = framing.width;
  return Resize(picture, down, across, framed, stride);
}

Status Pad(const Framing& framing, const Picture& picture, uint8_t* framed) {
  const double ratio =
      std::min(Ratio(framing.height, picture.height), Ratio(framing.width, picture.width));
  const int64_t height = std::clamp<int64_t>(Scaled(picture.height, ratio), 1, framing.height);
  const int64_t width = std::clamp<int64_t>(Scaled(picture.width, ratio), 1, framing.width);
  const int64_t channels = picture.channels;
  const uint8_t* const ground = framing.ground.data();
  if (channels == 1) {
    std::fill_n(framed, framing.height * framing.width, Grey(ground));
  } else {
    for (int64_t i = 0; i < framing.height * framing.width; ++i) {
      std::copy_n(ground, 3, framed + 3 * i);
    }
  }
  const int64_t top = (framing.height - height) / 2, left = (framing.width - width) / 2;
  const int64_t stride = framing.width * channels;
  return Resize(picture, Resizing::Whole(picture.height, height),
                Resizing::Whole(picture.width, width), framed + top * stride + left * channels,
                stride);
}

Status Squash(const Framing& framing, const Picture& picture, uint8_t* framed) {
  return Resize(picture, Resizing::Whole(picture.height, framing.height),
                Resizing::Whole(picture.width, framing.width), framed,
                framing.width * picture.channels);
}

}  // namespace

Status Frame(const Framing& framing, const Picture& picture, uint8_t* framed) {
  const bool has_size = framing.TakesAnySize() ||
                        (picture.height == framing.height && picture.width == framing.width);
  const bool has_channels = picture.channels == framing.channels;
  if (has_size && has_channels) {
    std::copy_n(picture.pixels, picture.bytes(), framed);
    return {};
  }
  // Channels first: of other bytes sums would round to other bytes.
  Picture converted = picture;
  AlignedBuffer memory;
  if (!has_channels) {
    converted.channels = framing.channels;
    NINC_ASSIGN_OR_RETURN(memory,
                          Allocate("converted pictures", static_cast<size_t>(converted.bytes())));
    ConvertChannels(picture, framing.channels, memory.as<uint8_t>());
    converted.pixels = memory.as<uint8_t>();
  }
  if (framing.TakesAnySize()) {
    std::copy_n(converted.pixels, converted.bytes(), framed);
    return {};
  }
  switch (framing.fit) {
    case Framing::Fit::kCrop:
      return Crop(framing, converted, framed);
    case Framing::Fit::kPad:
      return Pad(framing, converted, framed);
    case Framing::Fit::kSquash:
      return Squash(framing, converted, framed);
  }
  return InvalidArgument("preprocessing: unknown fit");
}

}  // namespace ninc
