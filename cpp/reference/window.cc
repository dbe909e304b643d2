#include "reference/window.h"

namespace ninc::reference {
namespace {

// x's place, or -1.
int64_t Seen(const Axis& axis, int64_t at, int64_t size) {
  const int64_t place = at * axis.stride + axis.offset;
  const bool whole = place >= 0 && place % axis.dilation == 0;
  return whole && place / axis.dilation < size ? place / axis.dilation : -1;
}

}  // namespace

std::vector<double> Window(const std::array<Axis, 3>& axes, double fill, const Shape& x_shape,
                           const Values& x, const Shape& y_shape) {
  std::vector<double> y;
  for (int64_t n = 0; n < y_shape.n; ++n)
    for (int64_t p = 0; p < y_shape.h; ++p)
      for (int64_t q = 0; q < y_shape.w; ++q)
        for (int64_t k = 0; k < y_shape.c; ++k) {
          const int64_t h = Seen(axes[0], p, x_shape.h), w = Seen(axes[1], q, x_shape.w),
                        c = Seen(axes[2], k, x_shape.c);
          const bool seen = h >= 0 && w >= 0 && c >= 0;
          y.push_back(seen ? x[((n * x_shape.h + h) * x_shape.w + w) * x_shape.c + c] : fill);
        }
  return y;
}

std::vector<double> ChannelShuffle(int64_t channels, int64_t groups, const Values& x) {
  std::vector<double> y(x.size());
  const int64_t in_group = channels / groups;
  for (int64_t i = 0; i < static_cast<int64_t>(x.size()); ++i) {
    const int64_t c = i % channels;
    y[i - c + c % in_group * groups + c / in_group] = x[i];
  }
  return y;
}

}  // namespace ninc::reference
