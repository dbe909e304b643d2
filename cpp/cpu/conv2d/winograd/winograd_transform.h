// The transforms of Winograd's convolution, between pixels and frequencies.
//
// A tile of n×n pixels becomes n² numbers a channel, here called frequencies for what they are to a
// Fourier transform; a convolution is then a product for each frequency. Every transform is made of
// one-dimensional ones (winograd_points.h), first down the columns, then along the rows, and is
// element-wise over channels. What they know nothing of: where tiles lie, which are cut off by a
// border (pixels are pointers, winograd_tiles.h), and how frequencies are multiplied.
#pragma once

#include <cstdint>

#include "cpu/conv2d/common/conv2d_pass.h"
#include "ninc/problem.h"
#include "ninc/target.h"

namespace ninc::cpu {

inline constexpr int kMaxRowGroups = 4;  // n / 2
inline constexpr int kMaxTaps = 25;      // r×r

// In each, frequency i·n + j of channel c stands at [(i·n + j)·stride + c].
struct WinogradTransforms {
  // pixels -> frequencies; pixels[k] + c is channel c of pixel k, row after row. A last vector is
  // written whole: after the channels must be padding, or what is written later.
  using ToFrequencies = void (*)(const float* const* pixels, int64_t channels, float* out,
                                 int64_t stride);
  // frequencies -> pixels; y = activation(... + bias), bias per channel or null. Frequencies of a
  // last vector's missing channels are read, never used.
  using FromFrequencies = void (*)(const float* in, int64_t stride, int64_t channels,
                                   const float* bias, Activation activation, float* const* pixels);

  ToFrequencies data;       // n×n pixels of x: B^T d B
  ToFrequencies weights;    // r×r taps: f f^T * (G g G^T)
  FromFrequencies outputs;  // m×m pixels of y: A^T p A
  // Of group g two rows of frequencies alone, 0 and n - 1 of the first, 2g - 1 and 2g of others,
  // numbered as if there were no more: n×n pixels of x, m×m of dy: A d A^T.
  ToFrequencies data_rows[kMaxRowGroups];
  ToFrequencies gradient_rows[kMaxRowGroups];
  FromFrequencies weight_gradient;  // r×r taps of dw: G^T (f f^T * p) G
};

// F(2×2, 3×3), F(4×4, 3×3), F(6×6, 3×3), F(2×2, 5×5) and F(4×4, 5×5) exist.
const WinogradTransforms& Transforms(Target target, const WinogradShape& shape);

}  // namespace ninc::cpu
