// Resizing of tiny pictures, beside what was worked out by hand. Beside Pillow itself:
// tests/python/preprocess/test_c_pictures.py.
#include "preprocess/resize.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "preprocess/framing.h"

namespace ninc {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Resized(const Bytes& pixels, int64_t height, int64_t width, int64_t to_height,
              int64_t to_width, int64_t channels = 1) {
  Bytes to(static_cast<size_t>(to_height * to_width * channels), 77);
  const Status status =
      Resize({pixels.data(), height, width, channels}, Resizing::Whole(height, to_height),
             Resizing::Whole(width, to_width), to.data(), to_width * channels);
  EXPECT_TRUE(status.ok()) << status.message();
  return to;
}

TEST(ResizeTest, TheSameSizeIsTheSamePicture) {
  const Bytes pixels = {0, 255, 17, 3, 128, 254};
  EXPECT_EQ(Resized(pixels, 2, 3, 2, 3), pixels);
  EXPECT_EQ(Resized(pixels, 1, 2, 1, 2, 3), pixels);
}

TEST(ResizeTest, GrowingMixesTheTwoNearest) {
  // Centres of four pixels lie at 1/4, 3/4, 5/4 and 7/4 of the two, whose own are at 1/2 and 3/2:
  // the outer ones see one pixel alone, the inner ones 3/4 of the nearer.
  EXPECT_EQ(Resized({0, 100}, 1, 2, 1, 4), (Bytes{0, 25, 75, 100}));
  EXPECT_EQ(Resized({0, 100}, 2, 1, 4, 1), (Bytes{0, 25, 75, 100}));
}

TEST(ResizeTest, ShrinkingTakesAllPixelsAlong) {
  // The new pixel's centre is 2, the old ones' are 1/2 to 7/2, and weights fall off over 4 pixels:
  // 5/8, 7/8, 7/8 and 5/8, whose sum is 3.
  EXPECT_EQ(Resized({80, 0, 0, 0}, 1, 4, 1, 1), (Bytes{17}));
  EXPECT_EQ(Resized({0, 80, 0, 0}, 1, 4, 1, 1), (Bytes{23}));
  EXPECT_EQ(Resized({80, 80, 80, 80}, 4, 1, 1, 1), (Bytes{80}));
}

TEST(ResizeTest, BytesAreRoundedBetweenThePasses) {
  // Across, (0, 1) and (2, 1) have means 1/2 -> 1 and 3/2 -> 2, and these 3/2 -> 2. Down first,
  // both means are 1.
  EXPECT_EQ(Resized({0, 1, 2, 1}, 2, 2, 1, 1), (Bytes{2}));
}

TEST(ResizeTest, TallPicturesAreResizedDownFirst) {
  // Down, 1/2 -> 1 and 5/2 -> 3; across, between these 3/2 -> 2 and 5/2 -> 3. Across first, the
  // lines would be 0 1 2 3 and 1 1 2 2.
  EXPECT_EQ(Resized({0, 3, 1, 2}, 2, 2, 1, 4), (Bytes{1, 2, 3, 3}));
}

TEST(ResizeTest, ChannelsStayApart) {
  EXPECT_EQ(Resized({0, 200, 8, 100, 0, 16}, 1, 2, 1, 4, 3),
            (Bytes{0, 200, 8, 25, 150, 10, 75, 50, 14, 100, 0, 16}));
}

TEST(ResizeTest, APieceIsWhatTheWholeHasThere) {
  Bytes pixels(9 * 7);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(37 * i);
  const Bytes whole = Resized(pixels, 9, 7, 5, 13);
  Resizing down = Resizing::Whole(9, 5), across = Resizing::Whole(7, 13);
  down.first = 1, down.count = 3;
  across.first = 4, across.count = 6;
  Bytes piece(3 * 8, 77);  // lines of 8, of which 6 are written
  ASSERT_TRUE(Resize({pixels.data(), 9, 7, 1}, down, across, piece.data(), 8).ok());
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 6; ++j) EXPECT_EQ(piece[8 * i + j], whole[13 * (i + 1) + j + 4]);
    EXPECT_EQ(piece[8 * i + 6], 77);
  }
}

TEST(ResizeTest, SidesBeyondSenseAreRefused) {
  const uint8_t pixel = 0;
  uint8_t to = 7;
  const Status status = Resize({&pixel, 1, kLargestSide + 1, 1}, Resizing::Whole(1, 1),
                               Resizing::Whole(kLargestSide + 1, 1), &to, 1);
  EXPECT_EQ(status.code(), StatusCode::kInvalidShape);
  EXPECT_EQ(to, 7);
}

TEST(FramingTest, GreyAndRgbAreMadeOfEachOther) {
  Framing grey{.channels = 1};
  const Bytes rgb = {255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 10, 10};
  Bytes got(4);
  ASSERT_TRUE(Frame(grey, {rgb.data(), 1, 4, 3}, got.data()).ok());
  EXPECT_EQ(got, (Bytes{76, 150, 29, 10}));  // 0.299, 0.587 and 0.114 of 255
  Framing colour{.channels = 3};
  Bytes triple(6);
  ASSERT_TRUE(Frame(colour, {got.data(), 1, 2, 1}, triple.data()).ok());
  EXPECT_EQ(triple, (Bytes{76, 76, 76, 150, 150, 150}));
}

TEST(FramingTest, CropPadAndSquash) {
  const Bytes wide = {10, 20, 30, 40};  // 1×4
  const Picture picture{wide.data(), 1, 4, 1};
  Framing framing{.height = 1, .width = 2, .channels = 1};
  Bytes got(2);
  ASSERT_TRUE(Frame(framing, picture, got.data()).ok());
  EXPECT_EQ(got, (Bytes{20, 30}));  // the centre, untouched
  framing.fit = Framing::Fit::kSquash;
  ASSERT_TRUE(Frame(framing, picture, got.data()).ok());
  // Weights 3, 3 and 1 of 7 on the left, and so on: 120 / 7 = 17.1, 230 / 7 = 32.9.
  EXPECT_EQ(got, (Bytes{17, 33}));

  framing = {.height = 3, .width = 4, .channels = 1, .fit = Framing::Fit::kPad};
  framing.ground = {0, 255, 0};
  Bytes padded(12);
  ASSERT_TRUE(Frame(framing, picture, padded.data()).ok());
  EXPECT_EQ(padded, (Bytes{150, 150, 150, 150, 10, 20, 30, 40, 150, 150, 150, 150}));
}

TEST(FramingTest, HalvesAreRoundedToEven) {
  // 5×4 in 4×2: all of it would have 2.5 rows, which are two; 7×4 has 3.5, which are four.
  Framing framing{.height = 4, .width = 2, .channels = 1, .fit = Framing::Fit::kPad};
  framing.ground = {0, 0, 0};
  for (const auto& [height, filled] : {std::pair(5, 2), std::pair(7, 4)}) {
    const Bytes white(static_cast<size_t>(height * 4), 255);
    Bytes got(8);
    ASSERT_TRUE(Frame(framing, {white.data(), height, 4, 1}, got.data()).ok());
    int rows = 0;
    for (int i = 0; i < 4; ++i) rows += got[2 * i] == 255;
    EXPECT_EQ(rows, filled) << height;
  }
}

}  // namespace
}  // namespace ninc
