// The specification of what moves values to other places.
#pragma once

#include <array>
#include <vector>

#include "ninc/tensor.h"
#include "reference/values.h"

namespace ninc::reference {

// Along an axis, y(i) = x((i · stride + offset) / dilation), where that is a whole number within x.
struct Axis {
  int64_t offset = 0, stride = 1, dilation = 1;
};

// y of y_shape as the axes of height, width and channels see x; `fill` where they see nothing.
std::vector<double> Window(const std::array<Axis, 3>& axes, double fill, const Shape& x_shape,
                           const Values& x, const Shape& y_shape);

// y(r, j·groups + i) = x(r, i·(channels/groups) + j)
std::vector<double> ChannelShuffle(int64_t channels, int64_t groups, const Values& x);

}  // namespace ninc::reference
