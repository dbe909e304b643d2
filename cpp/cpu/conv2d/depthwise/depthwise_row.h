// A row of pixels of a depthwise convolution: the register tile under its schedules.
#pragma once

#include <cstdint>

#include "ninc/problem.h"
#include "ninc/target.h"

namespace ninc::cpu {

// What pixels in one row of the destination are made of. Kernel rows that lie outside of the
// picture are left out of `lines` and `weights`; columns outside of it read zeros, which an
// infinite weight makes NaN of.
struct DepthwiseRow {
  const float* const* lines;    // [rows]: where the picture's row begins that a kernel row reads
  const float* const* weights;  // [rows]: of the kernel row, [taps][channels]
  int64_t rows;
  int64_t taps;    // of a kernel row
  int64_t first;   // the column that tap 0 of pixel 0 reads
  int64_t step;    // from a pixel's columns to the next one's
  int64_t spread;  // from a tap's column to the next one's, above 0
  int64_t width;   // columns of the picture
  int64_t channels;
  int64_t pixels;
  const float* zeros;     // [channels]
  const float** columns;  // room for DepthwiseColumns() addresses
  const float* bias;      // or null
  Activation activation;
  float* out;        // of pixel 0
  int64_t out_step;  // floats from a pixel to the next
};

// Addresses that a row needs room for, of a kernel of this size.
int64_t DepthwiseColumns(int64_t kernel_h, int64_t kernel_w);

// out(pixel, c) = activation(bias(c) + sum over kernel rows a, taps b of
//                            lines[a](first + pixel·step + b·spread, c) * weights[a](b, c))
// An output is one sum in one order, however its row is cut into calls.
using DepthwiseRowKernel = void (*)(const DepthwiseRow& row);
DepthwiseRowKernel DepthwiseRowFor(Target target);

}  // namespace ninc::cpu
