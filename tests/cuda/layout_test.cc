#include "arrangements.h"
#include "device_call.h"

namespace ninc::test {
namespace {

// Also pictures of several tiles of channels.
std::vector<Shape> Shapes() {
  std::vector<Shape> shapes(std::begin(kLayoutShapes), std::end(kLayoutShapes));
  shapes.insert(shapes.end(), {{1, 9, 5, 70}, {40, 1, 1, 33}, {2, 40, 1, 5}, {1, 1, 90, 12}});
  return shapes;
}

TEST(CudaLayoutTest, FromNchwHonoursAnyStrides) {
  for (const Shape& shape : Shapes()) {
    const std::vector<float> memory = Random(4 * shape.size() + 2, 1);
    for (const Arrangement& arrangement : Arrangements(shape)) {
      const std::vector<double> want = ChannelsLast(shape, arrangement, memory);
      OnDevice(
          shape.ToString() + " " + arrangement.name,
          [&](DeviceCall& call) {
            const StridedView view{call.In(memory) + arrangement.origin, arrangement.strides};
            ExpectOk(cuda::FromNchw(DeviceStream(), shape, view, call.Out(shape.size())));
          },
          [&](const Outputs& got) { ExpectExact(got[0], want); });
    }
  }
}

TEST(CudaLayoutTest, ToNchwTurnsItBack) {
  for (const Shape& shape : Shapes()) {
    const std::vector<float> x = Random(shape.size(), 2);
    const Arrangement nchw = Arrangements(shape)[0];
    OnDevice(
        shape.ToString(),
        [&](DeviceCall& call) {
          float* y = call.Out(shape.size());
          ExpectOk(cuda::FromNchw(DeviceStream(), shape, {call.In(x), nchw.strides}, y));
          ExpectOk(cuda::ToNchw(DeviceStream(), shape, y, call.Out(shape.size())));
        },
        [&](const Outputs& got) { EXPECT_TRUE(SameBits(got[1], x)); });
  }
}

TEST(CudaLayoutTest, FromUint8ScalesAndShiftsEachChannel) {
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
      OnDevice(
          shape.ToString(),
          [&](DeviceCall& call) {
            ExpectOk(cuda::FromUint8(DeviceStream(), shape, call.Values(x) + skip, call.In(scale),
                                     call.In(shift), call.Out(shape.size())));
          },
          [&](const Outputs& got) { ExpectClose(got[0], want, magnitude, 1); });
    }
  }
}

}  // namespace
}  // namespace ninc::test
