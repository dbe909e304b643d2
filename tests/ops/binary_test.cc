// Functions of two operands of one shape and of others, the sums their gradients are, and PReLU.
#include "reference/binary.h"

#include <cmath>
#include <string>

#include "ops/elementwise/binary.h"
#include "support/step_check.h"

namespace ninc::test {
namespace {

constexpr BinaryFunction kFunctions[] = {BinaryFunction::kAdd, BinaryFunction::kSub,
                                         BinaryFunction::kMul, BinaryFunction::kDiv};

struct Pair {
  Shape a, b;
  std::string ToString() const { return a.ToString() + " and " + b.ToString(); }
};

// Alike; each size of one, or several, standing for the other's; both sides doing so; no pictures.
std::vector<Pair> Pairs() {
  return {
      {{2, 3, 5, 7}, {2, 3, 5, 7}},   {{2, 3, 5, 19}, {1, 1, 1, 19}},
      {{1, 1, 1, 19}, {2, 3, 5, 19}}, {{3, 4, 5, 16}, {3, 1, 1, 16}},
      {{3, 4, 5, 16}, {3, 4, 5, 1}},  {{1, 4, 5, 1}, {3, 4, 5, 16}},
      {{2, 3, 4, 5}, {1, 1, 1, 1}},   {{2, 1, 4, 1}, {1, 3, 1, 5}},
      {{2, 3, 1, 9}, {2, 1, 4, 9}},   {{1, 1, 1, 1}, {1, 1, 1, 1}},
      {{0, 3, 4, 5}, {1, 3, 4, 5}},   {{1, 200, 200, 3}, {1, 200, 1, 3}},
      {{2, 3, 4, 1}, {2, 3, 4, 1}},   {{5, 1, 1, 33}, {1, 1, 1, 33}},
  };
}

// Away from zero, for divisors.
std::vector<float> Divisors(int64_t count, uint32_t seed) {
  std::vector<float> values = Random(count, seed, 0.5f, 2.0f);
  for (size_t i = 0; i < values.size(); i += 2) values[i] = -values[i];
  return values;
}

TEST(BinaryTest, Forward) {
  for (const Pair& pair : Pairs()) {
    const Shape y = BroadcastShape(pair.a, pair.b).value();
    const std::vector<float> a = Random(pair.a.size(), 1), b = Divisors(pair.b.size(), 2);
    for (const BinaryFunction function : kFunctions) {
      const std::vector<double> want = reference::BinaryForward(function, pair.a, a, pair.b, b, y);
      OnEveryBackend(
          pair.ToString() + " " + Name(function),
          [&](StepCall& call) {
            const step::Binary step{function, 0, 1, 2};
            call.Run(step, {call.In(pair.a, a), call.In(pair.b, b), call.Out(y)});
            if (pair.a == y) {
              const StepArray in_place = call.InOut(pair.a, a);
              call.Run(step, {in_place, call.In(pair.b, b), in_place});
            }
            if (pair.b == y) {
              const StepArray in_place = call.InOut(pair.b, b);
              call.Run(step, {call.In(pair.a, a), in_place, in_place});
            }
          },
          [&](const Outputs& got) {
            for (const std::vector<float>& each : got) ExpectClose(each, want, Magnitudes(want), 1);
          });
    }
  }
}

TEST(BinaryTest, ShapesThatDoNotGoTogether) {
  EXPECT_FALSE(BroadcastShape({2, 3, 4, 5}, {2, 3, 4, 6}).ok());
  EXPECT_FALSE(BroadcastShape({2, 3, 4, 5}, {3, 3, 4, 5}).ok());
  EXPECT_FALSE(BroadcastShape({0, 3, 4, 5}, {2, 3, 4, 5}).ok());
}

TEST(BinaryTest, SumTo) {
  for (const Pair& pair : Pairs()) {
    const Shape x = BroadcastShape(pair.a, pair.b).value();
    const std::vector<float> values = Random(x.size(), 3);
    for (const Shape& y : {pair.a, pair.b}) {
      const std::vector<double> want = reference::SumTo(-1.5, x, values, y);
      const std::vector<double> magnitude = reference::SumTo(1.5, x, Absolute(values), y);
      const double terms = y.size() == 0 ? 1 : static_cast<double>(x.size()) / y.size() + 1;
      OnEveryBackend(
          x.ToString() + " to " + y.ToString(),
          [&](StepCall& call) {
            call.Run(step::SumTo{-1.5f, 0, 1}, {call.In(x, values), call.Out(y)});
            if (x != y) return;
            const StepArray in_place = call.InOut(x, values);
            call.Run(step::SumTo{-1.5f, 0, 1}, {in_place, in_place});
          },
          [&](const Outputs& got) {
            for (const std::vector<float>& sums : got) ExpectClose(sums, want, magnitude, terms);
          });
    }
  }
}

TEST(BinaryTest, PRelu) {
  for (const MatrixCase& m : MatrixCases()) {
    std::vector<float> x = Random(m.size(), 4);
    if (!x.empty()) x[0] = 0.0f;
    const std::vector<float> dy = Random(m.size(), 5);
    for (const int64_t slopes : {m.channels, int64_t{1}}) {
      const Shape slope_shape{1, 1, 1, slopes};
      const std::vector<float> slope = Random(slopes, 6);
      const std::vector<double> y = reference::PReluForward(m.channels, x, slope);
      const reference::PReluGradients want = reference::PReluBackward(m.channels, dy, x, slope);
      OnEveryBackend(
          m.ToString() + ", " + std::to_string(slopes) + " slopes",
          [&](StepCall& call) {
            const StepArray slopes_in = call.In(slope_shape, slope);
            call.Run(step::PRelu{0, 1, 2}, {call.In(m.shape(), x), slopes_in, call.Out(m.shape())});
            const StepArray in_place = call.InOut(m.shape(), x);
            call.Run(step::PRelu{0, 1, 2}, {in_place, slopes_in, in_place});
            const StepArray dy_in = call.In(m.shape(), dy), x_in = call.In(m.shape(), x);
            call.Run(step::PReluBackward{0, 1, 2, 3, 4},
                     {dy_in, x_in, slopes_in, call.Out(m.shape()), call.Out(m.shape())});
            call.Run(step::PReluBackward{0, 1, 2, 3, kNoValue},
                     {dy_in, x_in, slopes_in, call.Out(m.shape())});
          },
          [&](const Outputs& got) {
            ExpectClose(got[0], y, Magnitudes(y), 1);
            ExpectClose(got[1], y, Magnitudes(y), 1);
            ExpectClose(got[2], want.dx, Magnitudes(want.dx), 1);
            ExpectClose(got[3], want.terms, Magnitudes(want.terms), 1);
            ExpectClose(got[4], want.dx, Magnitudes(want.dx), 1);
          });
    }
  }
}

TEST(BinaryTest, NanStaysNan) {
  const std::vector<float> nan(21, std::nanf(""));
  const Shape shape{1, 1, 1, 21};
  OnEveryBackend(
      "NaN",
      [&](StepCall& call) {
        const StepArray x = call.In(shape, nan), slope = call.In({1, 1, 1, 1}, {0.5f});
        call.Run(step::PRelu{0, 1, 2}, {x, slope, call.Out(shape)});
        call.Run(step::Binary{BinaryFunction::kMul, 0, 1, 2}, {x, slope, call.Out(shape)});
      },
      [](const Outputs& got) {
        for (const std::vector<float>& y : got) {
          for (float value : y) EXPECT_TRUE(std::isnan(value));
        }
      });
}

}  // namespace
}  // namespace ninc::test
