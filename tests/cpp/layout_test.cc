#include "cpu/elementwise/layout.h"

#include "arrangements.h"
#include "cases.h"
#include "check.h"

namespace ninc::test {
namespace {

TEST(LayoutTest, FromNchwHonoursAnyStrides) {
  for (const Shape& shape : kLayoutShapes) {
    const std::vector<float> memory = Random(4 * shape.size() + 2, 1);
    for (const Arrangement& arrangement : Arrangements(shape)) {
      const std::vector<double> want = ChannelsLast(shape, arrangement, memory);
      OnEveryTarget(
          shape.ToString() + " " + arrangement.name,
          [&](Call& call) {
            const StridedView view{call.In(memory) + arrangement.origin, arrangement.strides};
            cpu::FromNchw(shape, view, call.Out(shape.size()), call.threads());
          },
          [&](const Outputs& got) { ExpectExact(got[0], want); });
    }
  }
}

TEST(LayoutTest, ToNchwTurnsItBack) {
  for (const Shape& shape : kLayoutShapes) {
    const std::vector<float> x = Random(shape.size(), 2);
    const Arrangement nchw = Arrangements(shape)[0];
    OnEveryTarget(
        shape.ToString(),
        [&](Call& call) {
          float* y = call.Out(shape.size());
          cpu::FromNchw(shape, {call.In(x), nchw.strides}, y, call.threads());
          cpu::ToNchw(shape, y, call.Out(shape.size()), call.threads());
        },
        [&](const Outputs& got) { EXPECT_TRUE(SameBits(got[1], x)); });
  }
}

}  // namespace
}  // namespace ninc::test
