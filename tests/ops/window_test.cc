// Slices, pads and channel shuffles, which move values and compute nothing.
#include "reference/window.h"

#include <string>

#include "ops/ops.h"
#include "support/step_check.h"

namespace ninc::test {
namespace {

struct WindowCase {
  const char* name;
  Shape x, y;
  WindowAxis h, w, c;
};

// The cases' gradients are windows, too: they are run both ways.
std::vector<WindowCase> Cases() {
  return {
      {"all of it", {2, 3, 4, 5}, {2, 3, 4, 5}, {}, {}, {}},
      {"every other pixel", {2, 7, 8, 5}, {2, 4, 4, 5}, {0, 2}, {0, 2}, {}},
      {"part of rows, columns and channels", {2, 7, 8, 19}, {2, 3, 4, 9}, {1, 3}, {3}, {4}},
      {"every third channel", {1, 2, 3, 10}, {1, 2, 3, 3}, {}, {}, {1, 3}},
      {"a margin", {2, 3, 4, 17}, {2, 6, 5, 17}, {-1}, {-1}, {}},
      {"channels on both sides", {2, 3, 4, 17}, {2, 3, 4, 34}, {}, {}, {-8}},
      {"a margin here, an edge less there", {2, 5, 6, 9}, {2, 7, 4, 8}, {-2}, {2}, {1}},
      {"nothing but margin", {1, 2, 2, 3}, {1, 2, 2, 3}, {-2}, {}, {}},
      {"no pictures", {0, 3, 4, 5}, {0, 2, 4, 5}, {1}, {}, {}},
  };
}

reference::Axis AxisOf(const WindowAxis& axis) { return {axis.offset, axis.stride, axis.dilation}; }

TEST(WindowTest, BothWays) {
  constexpr float kFill = 0.75f;
  for (const WindowCase& each : Cases()) {
    const std::vector<float> x = Random(each.x.size(), 1), dy = Random(each.y.size(), 2);
    const std::vector<double> y = reference::Window(
        {AxisOf(each.h), AxisOf(each.w), AxisOf(each.c)}, kFill, each.x, x, each.y);
    const std::vector<double> dx = reference::Window(
        {AxisOf(each.h.Inverse()), AxisOf(each.w.Inverse()), AxisOf(each.c.Inverse())}, 0.0, each.y,
        dy, each.x);
    OnEveryBackend(
        each.name,
        [&](StepCall& call) {
          call.Run(step::Window{each.h, each.w, each.c, kFill, 0, 1},
                   {call.In(each.x, x), call.Out(each.y)});
          call.Run(step::Window{each.h.Inverse(), each.w.Inverse(), each.c.Inverse(), 0.0f, 0, 1},
                   {call.In(each.y, dy), call.Out(each.x)});
        },
        [&](const Outputs& got) {
          ExpectExact(got[0], y);
          ExpectExact(got[1], dx);
        });
  }
}

TEST(WindowTest, ChannelShuffle) {
  for (const auto& [shape, groups] : std::vector<std::pair<Shape, int64_t>>{{{2, 3, 4, 6}, 2},
                                                                            {{2, 3, 4, 6}, 3},
                                                                            {{1, 1, 5, 48}, 4},
                                                                            {{3, 1, 1, 5}, 5},
                                                                            {{0, 1, 1, 4}, 2}}) {
    const std::vector<float> x = Random(shape.size(), 3);
    const std::vector<double> y = reference::ChannelShuffle(shape.c, groups, x);
    OnEveryBackend(
        shape.ToString() + " in " + std::to_string(groups),
        [&, shape = shape, groups = groups](StepCall& call) {
          const StepArray shuffled = call.Out(shape);
          call.Run(step::ChannelShuffle{groups, 0, 1}, {call.In(shape, x), shuffled});
          call.Run(step::ChannelShuffle{shape.c / groups, 0, 1}, {shuffled, call.Out(shape)});
        },
        [&](const Outputs& got) {
          ExpectExact(got[0], y);
          EXPECT_EQ(got[1], x);  // back where it was
        });
  }
}

}  // namespace
}  // namespace ninc::test
