// Arrays on their way in and out: of any strides, of bytes, and back.
#include <cmath>

#include "support/arrangements.h"
#include "support/step_check.h"

namespace ninc::test {
namespace {

// Also pictures of several tiles of channels.
std::vector<Shape> Shapes() {
  std::vector<Shape> shapes(std::begin(kLayoutShapes), std::end(kLayoutShapes));
  shapes.insert(shapes.end(), {{1, 9, 5, 70}, {40, 1, 1, 33}, {2, 40, 1, 5}, {1, 1, 90, 12}});
  return shapes;
}

StepArray InputOf(const Shape& shape) { return {.shape = shape}; }

TEST(LayoutTest, FromNchwHonoursAnyStrides) {
  for (const Shape& shape : Shapes()) {
    const std::vector<float> memory = Random(4 * shape.size() + 2, 1);
    for (const Arrangement& arrangement : Arrangements(shape)) {
      const std::vector<double> want = ChannelsLast(shape, arrangement, memory);
      OnEveryBackend(
          shape.ToString() + " " + arrangement.name,
          [&](StepCall& call) {
            const auto* const origin = static_cast<const float*>(call.In(memory).data);
            call.Run(step::FromNchw{0, 1}, {InputOf(shape), call.Out(shape)},
                     {.x = {origin + arrangement.origin, arrangement.strides}});
          },
          [&](const Outputs& got) { ExpectExact(got[0], want); });
    }
  }
}

TEST(LayoutTest, ToNchwTurnsItBack) {
  for (const Shape& shape : Shapes()) {
    const std::vector<float> x = Random(shape.size(), 2);
    OnEveryBackend(
        shape.ToString(),
        [&](StepCall& call) {
          const StepArray y = call.Out(shape);
          call.Run(step::FromNchw{0, 1}, {call.In(shape, x), y});
          call.Run(step::ToNchw{0, 1}, {y, call.Out(shape)});
        },
        [&](const Outputs& got) { EXPECT_TRUE(SameBits(got[1], x)); });
  }
}

TEST(LayoutTest, FromUint8ScalesAndShiftsEachChannel) {
  for (const Shape& shape : Shapes()) {
    const std::vector<float> scale = Random(shape.c, 3), shift = Random(shape.c, 4);
    // At the start of an allocation and beside it.
    for (size_t skip : {size_t{0}, size_t{1}}) {
      std::vector<uint8_t> x(static_cast<size_t>(shape.size()) + skip);
      std::vector<double> want(x.size() - skip), magnitude(x.size() - skip);
      for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint8_t>(i * 37 + i / 256);
      for (size_t i = 0; i < want.size(); ++i) {
        const size_t c = i % shape.c;
        const double product = x[i + skip] * static_cast<double>(scale[c]);
        want[i] = product + shift[c];
        magnitude[i] = std::abs(product) + std::abs(shift[c]);
      }
      OnEveryBackend(
          shape.ToString(),
          [&](StepCall& call) {
            call.Run(
                step::FromNchw{0, 1}, {InputOf(shape), call.Out(shape)},
                {.pictures = {call.Values(x) + skip, static_cast<const float*>(call.In(scale).data),
                              static_cast<const float*>(call.In(shift).data)}});
          },
          [&](const Outputs& got) { ExpectClose(got[0], want, magnitude, 1); });
    }
  }
}

}  // namespace
}  // namespace ninc::test
