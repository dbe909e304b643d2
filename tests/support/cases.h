// The shapes every backend is tested on: one table for forward tests, gradient checks, comparisons
// between devices and benchmarks.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "ninc/problem.h"

namespace ninc::test {

// N×C×H×W -> K, R×S, in the order people say it.
struct ConvCase {
  int64_t n, c, h, w, k, r, s;
  int64_t stride_h = 1, stride_w = 1;
  Padding padding = {};
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t groups = 1;

  Conv2dProblem problem() const {
    Conv2dProblem p;
    p.input = {n, h, w, c};
    p.out_channels = k;
    p.kernel_h = r, p.kernel_w = s;
    p.stride_h = stride_h, p.stride_w = stride_w;
    p.dilation_h = dilation_h, p.dilation_w = dilation_w;
    p.padding = padding;
    p.groups = groups;
    return p;
  }
};

inline Padding Same(int64_t amount) { return {amount, amount, amount, amount}; }

inline std::vector<Conv2dProblem> ConvProblems() {
  std::vector<ConvCase> cases = {
      // Kernels from 1×1 to 11×11, square and not.
      {.n = 2, .c = 8, .h = 9, .w = 7, .k = 8, .r = 2, .s = 2},
      {.n = 2, .c = 5, .h = 9, .w = 8, .k = 7, .r = 3, .s = 3, .padding = Same(1)},
      {.n = 1, .c = 6, .h = 10, .w = 11, .k = 9, .r = 5, .s = 5, .padding = Same(2)},
      {.n = 2, .c = 3, .h = 12, .w = 9, .k = 17, .r = 7, .s = 7, .padding = Same(3)},
      {.n = 1, .c = 3, .h = 27, .w = 23, .k = 10, .r = 11, .s = 11, .stride_h = 4, .stride_w = 4},
      {.n = 1, .c = 4, .h = 8, .w = 8, .k = 5, .r = 1, .s = 7, .padding = {0, 3, 0, 3}},
      {.n = 1, .c = 4, .h = 8, .w = 8, .k = 5, .r = 7, .s = 1, .padding = {3, 0, 3, 0}},
      // Strides, also larger than the kernel, and pictures they do not divide.
      {.n = 2,
       .c = 16,
       .h = 8,
       .w = 9,
       .k = 12,
       .r = 3,
       .s = 3,
       .stride_h = 2,
       .stride_w = 2,
       .padding = Same(1)},
      {.n = 1, .c = 7, .h = 11, .w = 10, .k = 6, .r = 3, .s = 2, .stride_h = 3, .stride_w = 2},
      {.n = 2, .c = 20, .h = 9, .w = 8, .k = 33, .r = 1, .s = 1, .stride_h = 2, .stride_w = 2},
      {.n = 1, .c = 4, .h = 13, .w = 13, .k = 4, .r = 2, .s = 2, .stride_h = 4, .stride_w = 5},
      {.n = 2, .c = 5, .h = 4, .w = 3, .k = 4, .r = 2, .s = 2, .stride_h = 7, .stride_w = 1 << 30},
      // Padding of every side by itself, larger than the kernel, on a 1×1 kernel.
      {.n = 1, .c = 5, .h = 6, .w = 7, .k = 4, .r = 3, .s = 3, .padding = {1, 0, 2, 3}},
      {.n = 1, .c = 3, .h = 5, .w = 5, .k = 8, .r = 4, .s = 4, .padding = {1, 1, 2, 2}},
      {.n = 1, .c = 20, .h = 6, .w = 6, .k = 5, .r = 4, .s = 4, .padding = Same(1)},
      {.n = 1, .c = 3, .h = 6, .w = 6, .k = 5, .r = 4, .s = 4, .padding = Same(1)},
      {.n = 1, .c = 5, .h = 3, .w = 10, .k = 3, .r = 1, .s = 8, .padding = {0, 3, 0, 3}},
      {.n = 1, .c = 2, .h = 3, .w = 3, .k = 3, .r = 2, .s = 2, .padding = Same(4)},
      {.n = 1, .c = 9, .h = 4, .w = 5, .k = 6, .r = 1, .s = 1, .padding = {1, 2, 0, 1}},
      {.n = 2,
       .c = 3,
       .h = 8,
       .w = 8,
       .k = 8,
       .r = 3,
       .s = 3,
       .stride_h = 2,
       .stride_w = 2,
       .padding = {0, 0, 1, 1}},
      // Dilation, alone and with strides that share a divisor with it or not.
      {.n = 1,
       .c = 6,
       .h = 11,
       .w = 12,
       .k = 7,
       .r = 3,
       .s = 3,
       .padding = Same(2),
       .dilation_h = 2,
       .dilation_w = 2},
      {.n = 1,
       .c = 5,
       .h = 13,
       .w = 14,
       .k = 6,
       .r = 3,
       .s = 2,
       .stride_h = 2,
       .stride_w = 3,
       .padding = {2, 1, 3, 0},
       .dilation_h = 2,
       .dilation_w = 4},
      {.n = 1,
       .c = 3,
       .h = 15,
       .w = 15,
       .k = 4,
       .r = 3,
       .s = 3,
       .stride_h = 4,
       .stride_w = 6,
       .padding = Same(3),
       .dilation_h = 6,
       .dilation_w = 4},
      // Groups, up to depthwise and depthwise with a multiplier.
      {.n = 2, .c = 12, .h = 7, .w = 6, .k = 8, .r = 3, .s = 3, .padding = Same(1), .groups = 2},
      {.n = 1, .c = 51, .h = 6, .w = 5, .k = 34, .r = 1, .s = 1, .groups = 17},
      {.n = 1,
       .c = 40,
       .h = 6,
       .w = 6,
       .k = 104,
       .r = 2,
       .s = 3,
       .stride_h = 2,
       .stride_w = 1,
       .padding = {1, 0, 0, 1},
       .groups = 4},
      {.n = 2, .c = 19, .h = 9, .w = 8, .k = 19, .r = 3, .s = 3, .padding = Same(1), .groups = 19},
      {.n = 1,
       .c = 48,
       .h = 10,
       .w = 9,
       .k = 48,
       .r = 5,
       .s = 5,
       .stride_h = 2,
       .stride_w = 2,
       .padding = {1, 2, 2, 1},
       .groups = 48},
      {.n = 1,
       .c = 16,
       .h = 9,
       .w = 9,
       .k = 16,
       .r = 3,
       .s = 3,
       .padding = Same(2),
       .dilation_h = 2,
       .dilation_w = 2,
       .groups = 16},
      {.n = 2, .c = 6, .h = 5, .w = 7, .k = 18, .r = 3, .s = 3, .padding = Same(1), .groups = 6},
      // Tiny pictures: one pixel, one row, a kernel that only just fits, a linear layer.
      {.n = 3, .c = 1, .h = 1, .w = 1, .k = 1, .r = 1, .s = 1},
      {.n = 1, .c = 10, .h = 1, .w = 1, .k = 6, .r = 3, .s = 3, .padding = Same(1)},
      {.n = 2, .c = 4, .h = 1, .w = 9, .k = 5, .r = 1, .s = 3, .padding = {0, 1, 0, 1}},
      {.n = 2, .c = 6, .h = 5, .w = 5, .k = 9, .r = 5, .s = 5},
      {.n = 9, .c = 200, .h = 1, .w = 1, .k = 10, .r = 1, .s = 1},
      // Layers as networks have them, scaled down: more channels than a cache block has depth.
      {.n = 2, .c = 96, .h = 9, .w = 9, .k = 100, .r = 5, .s = 5, .padding = Same(2)},
      {.n = 2, .c = 192, .h = 8, .w = 8, .k = 160, .r = 1, .s = 1},
      {.n = 2, .c = 3, .h = 18, .w = 17, .k = 50, .r = 5, .s = 5, .padding = Same(2)},
      {.n = 1, .c = 600, .h = 3, .w = 4, .k = 24, .r = 3, .s = 3, .padding = Same(1)},
      // Pixels enough for the weight gradient to be summed in several chunks.
      {.n = 3, .c = 20, .h = 32, .w = 32, .k = 50, .r = 1, .s = 1},
      {.n = 1, .c = 3, .h = 50, .w = 47, .k = 5, .r = 5, .s = 5, .padding = Same(2)},
      {.n = 2, .c = 6, .h = 33, .w = 34, .k = 9, .r = 3, .s = 3, .groups = 3},
      // Nothing at all.
      {.n = 0, .c = 8, .h = 6, .w = 6, .k = 16, .r = 3, .s = 3, .padding = Same(1)},
      {.n = 0, .c = 8, .h = 6, .w = 6, .k = 8, .r = 3, .s = 3, .padding = Same(1), .groups = 8},
  };
  // Channels around multiples of every vector and tile width.
  for (int64_t channels : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 24, 31, 33, 47, 48, 49, 65}) {
    cases.push_back({.n = 1, .c = 5, .h = 5, .w = 7, .k = channels, .r = 3, .s = 3});
    cases.push_back(
        {.n = 1, .c = channels, .h = 4, .w = 5, .k = 6, .r = 3, .s = 3, .padding = Same(1)});
    cases.push_back({.n = 1, .c = channels, .h = 3, .w = 5, .k = channels + 1, .r = 1, .s = 1});
    cases.push_back({.n = 1,
                     .c = channels,
                     .h = 5,
                     .w = 4,
                     .k = channels,
                     .r = 3,
                     .s = 3,
                     .padding = Same(1),
                     .groups = channels});
  }
  // Depthwise kernels of every size that has a register tile of its own, and of some that have
  // none, over rows of one pixel, of a few and of some more than a tile has.
  for (const auto [kernel, stride, width] : {std::array<int64_t, 3>{1, 1, 9},
                                             {2, 1, 10},
                                             {3, 1, 2},
                                             {3, 1, 7},
                                             {3, 1, 19},
                                             {3, 2, 9},
                                             {3, 2, 20},
                                             {3, 3, 20},
                                             {4, 1, 12},
                                             {5, 1, 6},
                                             {5, 1, 18},
                                             {5, 2, 21},
                                             {7, 1, 17},
                                             {7, 2, 18}}) {
    cases.push_back({.n = 2,
                     .c = 20,
                     .h = 6,
                     .w = width,
                     .k = 20,
                     .r = kernel,
                     .s = kernel,
                     .stride_h = stride,
                     .stride_w = stride,
                     .padding = Same(kernel / 2),
                     .groups = 20});
  }
  // Other heights than widths, few channels, a stride above the kernel, holes between the taps.
  for (const int64_t channels : {3, 20}) {
    ConvCase c{.n = 2, .c = channels, .h = 9, .w = 13, .k = channels, .r = 5, .s = 3};
    c.padding = {3, 0, 1, 2}, c.groups = channels;
    cases.push_back(c);
    c.r = 2, c.s = 5, c.stride_h = 1, c.stride_w = 2;
    cases.push_back(c);
    c.r = c.s = 3, c.stride_h = c.stride_w = 4;
    cases.push_back(c);
    c.stride_h = c.stride_w = 1, c.dilation_w = 3;
    cases.push_back(c);
  }
  // A kernel larger than the picture, and rows enough for several tasks.
  cases.push_back(
      {.n = 1, .c = 9, .h = 2, .w = 3, .k = 9, .r = 5, .s = 5, .padding = Same(3), .groups = 9});
  cases.push_back({.n = 5,
                   .c = 40,
                   .h = 37,
                   .w = 21,
                   .k = 40,
                   .r = 3,
                   .s = 3,
                   .padding = Same(1),
                   .groups = 40});
  std::vector<Conv2dProblem> problems;
  for (const ConvCase& c : cases) problems.push_back(c.problem());
  return problems;
}

struct PoolCase {
  int64_t n, c, h, w, r, s, stride_h, stride_w;
  int64_t padding_h = 0, padding_w = 0;

  Pool2dProblem problem(bool ceil_mode, bool count_include_pad) const {
    Pool2dProblem p;
    p.input = {n, h, w, c};
    p.kernel_h = r, p.kernel_w = s;
    p.stride_h = stride_h, p.stride_w = stride_w;
    p.padding_h = padding_h, p.padding_w = padding_w;
    p.ceil_mode = ceil_mode;
    p.count_include_pad = count_include_pad;
    return p;
  }
};

// Each with floor and ceil, with padding counted and not.
inline std::vector<Pool2dProblem> PoolProblems() {
  std::vector<PoolCase> cases = {
      {.n = 2, .c = 96, .h = 16, .w = 16, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2},
      {.n = 1, .c = 5, .h = 7, .w = 8, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2},
      {.n = 2, .c = 10, .h = 9, .w = 6, .r = 2, .s = 2, .stride_h = 2, .stride_w = 2},
      {.n = 1, .c = 3, .h = 10, .w = 10, .r = 2, .s = 3, .stride_h = 3, .stride_w = 5},
      {.n = 1,
       .c = 17,
       .h = 8,
       .w = 9,
       .r = 3,
       .s = 3,
       .stride_h = 1,
       .stride_w = 1,
       .padding_h = 1,
       .padding_w = 1},
      {.n = 1,
       .c = 6,
       .h = 11,
       .w = 10,
       .r = 5,
       .s = 4,
       .stride_h = 3,
       .stride_w = 2,
       .padding_h = 2,
       .padding_w = 1},
      {.n = 3, .c = 4, .h = 1, .w = 1, .r = 1, .s = 1, .stride_h = 1, .stride_w = 1},
      {.n = 1,
       .c = 4,
       .h = 1,
       .w = 1,
       .r = 3,
       .s = 3,
       .stride_h = 2,
       .stride_w = 2,
       .padding_h = 1,
       .padding_w = 1},
      {.n = 2, .c = 8, .h = 6, .w = 5, .r = 6, .s = 5, .stride_h = 1, .stride_w = 1},
      {.n = 1,
       .c = 2,
       .h = 4,
       .w = 5,
       .r = 2,
       .s = 2,
       .stride_h = 4,
       .stride_w = 4,
       .padding_h = 1,
       .padding_w = 1},
      {.n = 1, .c = 20, .h = 40, .w = 6, .r = 3, .s = 2, .stride_h = 2, .stride_w = 1},
      {.n = 2, .c = 5, .h = 2, .w = 2, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2},  // ceil only
      {.n = 0, .c = 8, .h = 6, .w = 6, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2},
  };
  for (int64_t channels : {1, 7, 8, 9, 15, 16, 31, 33, 47, 64, 65, 130}) {
    cases.push_back(
        {.n = 1, .c = channels, .h = 5, .w = 6, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2});
  }
  std::vector<Pool2dProblem> problems;
  for (const PoolCase& c : cases) {
    for (bool ceil_mode : {false, true}) {
      for (bool include : {false, true}) {
        const Pool2dProblem problem = c.problem(ceil_mode, include);
        if (problem.Validate().ok()) problems.push_back(problem);
      }
    }
  }
  return problems;
}

// Matrices for everything that works row by row or sums over rows.
struct MatrixCase {
  int64_t rows, channels;
  int64_t size() const { return rows * channels; }
  Shape shape() const { return {rows, 1, 1, channels}; }
  std::string ToString() const { return std::to_string(rows) + "×" + std::to_string(channels); }
};

// More blocks than a sum over rows has tasks; large, so used sparingly.
inline constexpr MatrixCase kManyBlocks{70000, 33};

// More runs than a device's sum over rows has partial sums, with the fewest values for that.
inline constexpr MatrixCase kManyRuns{17000, 31};

inline std::vector<MatrixCase> MatrixCases() {
  std::vector<MatrixCase> cases = {{0, 8}, {1, 1}, {1, 10}, {2, 3}, {128, 10}};
  cases.push_back({200, 192});  // several blocks of rows
  cases.push_back({1000, 33});  // several, of few channels
  cases.push_back({9000, 1});   // several, of one
  cases.push_back({3, 9000});   // a row is more than a block
  for (int64_t channels : {4, 7, 8, 9, 15, 16, 17, 31, 33, 47, 48, 63, 65, 129}) {
    cases.push_back({13, channels});
  }
  return cases;
}

}  // namespace ninc::test
