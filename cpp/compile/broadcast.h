// How the elements of two operands meet where a size of 1 stands for any, and how those of a sum
// that undoes it do. Both backends walk as it is told here.
#pragma once

#include <array>
#include <cstdint>

#include "ninc/tensor.h"

namespace ninc {

// Nested loops over y's elements in their order, the last loop innermost. At each step of a loop
// the first operand moves on by `a` elements and the second by `b`: by none where its size is 1.
// Neighbouring loops that go on evenly for both are one, so that two operands of one shape are a
// single loop. The innermost loop's steps are 0 or 1.
struct Broadcast {
  static constexpr int kLoops = 4;
  int64_t count[kLoops] = {1, 1, 1, 1};
  int64_t a[kLoops] = {}, b[kLoops] = {};

  Broadcast() = default;
  Broadcast(const Shape& a_shape, const Shape& b_shape, const Shape& y_shape) {
    const std::array<int64_t, kLoops> a_sizes = Sizes(a_shape), b_sizes = Sizes(b_shape),
                                      y_sizes = Sizes(y_shape);
    int64_t a_step = 1, b_step = 1;
    int loop = kLoops;  // the one that was opened last
    for (int i = kLoops - 1; i >= 0; --i) {
      const int64_t a_here = a_sizes[i] == 1 ? 0 : a_step, b_here = b_sizes[i] == 1 ? 0 : b_step;
      a_step *= a_sizes[i];
      b_step *= b_sizes[i];
      if (y_sizes[i] == 1) continue;
      if (loop < kLoops && a_here == a[loop] * count[loop] && b_here == b[loop] * count[loop]) {
        count[loop] *= y_sizes[i];
        continue;
      }
      --loop;
      count[loop] = y_sizes[i];
      a[loop] = a_here;
      b[loop] = b_here;
    }
  }

  int64_t inner() const { return count[kLoops - 1]; }
  bool Alike() const { return a[kLoops - 1] == 1 && b[kLoops - 1] == 1 && outer() == 1; }
  int64_t outer() const { return count[0] * count[1] * count[2]; }

 private:
  static std::array<int64_t, kLoops> Sizes(const Shape& shape) {
    return {shape.n, shape.h, shape.w, shape.c};
  }
};

// y = the sums of x over those sizes of which y has one. y's pixel `kept` is the sum of `summed`
// pixels of x; where y has one channel, all channels of these are added up.
struct SumWalk {
  SumWalk() = default;
  SumWalk(const Shape& x, const Shape& y)
      : kept{y.n, y.h, y.w},
        summed{y.n == 1 ? x.n : 1, y.h == 1 ? x.h : 1, y.w == 1 ? x.w : 1},
        steps{x.h * x.w * x.c, x.w * x.c, x.c},
        channels(x.c),
        across(y.c != x.c) {}

  int64_t kept[3] = {}, summed[3] = {};  // images, heights, widths
  int64_t steps[3] = {};                 // of x from one to the next
  int64_t channels = 0;                  // of x
  bool across = false;                   // whether they are added up
};

}  // namespace ninc
