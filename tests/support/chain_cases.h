// Convolutions in a row, a pool behind them or none, as one step computes them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ninc/problem.h"
#include "support/check.h"

namespace ninc::test {

using Tail = MlpConvProblem::Tail;

struct ChainCase {
  std::string name;
  Conv2dProblem first;
  std::vector<int64_t> widths;  // of the 1×1 layers
  Tail tail = Tail::kNone;
  std::vector<bool> kept = {};  // which layers' outputs are wanted; missing: none
};

inline Conv2dProblem First(Shape input, int64_t channels, int64_t kernel, int64_t padding,
                           ConvMethod method = ConvMethod::kAuto, int64_t stride = 1) {
  Conv2dProblem p;
  p.input = input;
  p.out_channels = channels;
  p.kernel_h = p.kernel_w = kernel;
  p.stride_h = p.stride_w = stride;
  p.padding = {padding, padding, padding, padding};
  p.method = method;
  return p;
}

inline Conv2dProblem Depthwise(Shape input, int64_t kernel, int64_t stride = 1) {
  Conv2dProblem p = First(input, input.c, kernel, kernel / 2, ConvMethod::kAuto, stride);
  p.groups = input.c;
  return p;
}

// Small enough for an emulated GPU.
inline std::vector<ChainCase> SmallChains() {
  const auto k = ConvMethod::kAuto;
  return {
      {"picture, two layers wide", First({1, 10, 11, 3}, 50, 5, 2), {33, 20}},
      {"classes", First({2, 5, 5, 20}, 49, 3, 1), {20, 10}, Tail::kGlobalAvgPool},
      {"stride", First({1, 23, 21, 3}, 24, 7, 0, k, 4), {24}, Tail::kAvgPool},
      {"1×1 first", First({2, 6, 6, 24}, 20, 1, 0), {31, 18, 5}},
      {"wide", First({1, 9, 8, 12}, 192, 3, 1), {160, 96}, Tail::kMaxPool},
      {"many layers", First({1, 3, 3, 4}, 100, 3, 1), {97, 98, 99, 100, 101, 102, 103}},
      {"too wide for one kernel", First({1, 4, 4, 8}, 224, 3, 1), {200, 17}, Tail::kMaxPool},
      {"one layer and its pool", First({1, 9, 7, 12}, 20, 3, 1), {}, Tail::kMaxPool},
      {"no images", First({0, 8, 8, 6}, 20, 3, 1), {18, 17}, Tail::kMaxPool},
  };
}

// What a processor's schedule has to hold besides: blocks, units of images, tiles, threads.
inline std::vector<ChainCase> LargeChains() {
  const auto kDirect = ConvMethod::kDirect, kSplit = ConvMethod::kSplit;
  const auto k4 = ConvMethod::kWinograd4, k6 = ConvMethod::kWinograd6, k8 = ConvMethod::kWinograd8;
  return {
      {"patches, many blocks an image", First({2, 18, 17, 3}, 50, 5, 2), {33, 20}, Tail::kMaxPool},
      {"direct", First({3, 9, 8, 20}, 49, 3, 1, kDirect), {16, 10}, Tail::kGlobalAvgPool},
      {"stride", First({2, 23, 21, 3}, 24, 7, 0, kDirect, 4), {24}, Tail::kAvgPool},
      {"split pictures", First({3, 39, 21, 20}, 49, 3, 1, kSplit), {16, 10}, Tail::kMaxPool},
      {"split, without a tail", First({2, 19, 40, 18}, 33, 5, 1, kSplit), {16}},
      {"small split pictures", First({70, 5, 6, 17}, 18, 3, 1, kSplit), {9}, Tail::kGlobalAvgPool},
      {"several images a unit", First({150, 3, 3, 7}, 17, 3, 1, kDirect), {9, 8}, Tail::kMaxPool},
      {"1×1 first", First({70, 12, 12, 24}, 20, 1, 0), {31, 18, 5}, Tail::kAvgPool},
      {"winograd 8", First({66, 8, 8, 18}, 20, 5, 2, k8), {24, 10}, Tail::kMaxPool},
      {"winograd 8, tiles over the edge", First({2, 19, 21, 10}, 49, 5, 2, k8), {20, 11}},
      {"winograd 6, few images", First({5, 7, 6, 20}, 34, 3, 1, k6), {19}, Tail::kGlobalAvgPool},
      // Weights too far away for pieces of the map; a piece has more pixels than a block of tiles.
      {"winograd 6, far weights", First({1, 20, 20, 320}, 48, 5, 2, k6), {48, 40}},
      {"winograd 4, far weights", First({1, 22, 20, 900}, 48, 3, 1, k4), {72, 40}, Tail::kAvgPool},
      {"kept maps", First({3, 9, 8, 20}, 33, 3, 1, kDirect), {16, 10}, Tail::kNone, {true, true}},
      {"kept maps of tiles",
       First({66, 9, 7, 12}, 20, 3, 1, k6),
       {18, 7, 9},
       Tail::kMaxPool,
       {true, false, true}},
      // Units left over that two threads share, and five.
      {"13 units", First({13, 18, 17, 3}, 24, 5, 2, kDirect), {33, 20}, Tail::kMaxPool},
      {"11 units of tiles, kept maps",
       First({11, 21, 19, 12}, 20, 3, 1, k6),
       {18, 9},
       Tail::kGlobalAvgPool,
       {true}},
      {"7 units and no pool", First({7, 17, 18, 10}, 24, 3, 1, kDirect), {20}},
      {"several images a unit, one left", First({101, 7, 6, 7}, 17, 3, 1, k6), {9}, Tail::kAvgPool},
      {"one layer and its pool", First({66, 9, 7, 12}, 20, 3, 1, kDirect), {}, Tail::kMaxPool},
      {"depthwise", Depthwise({3, 19, 18, 20}, 3), {24}},
      {"depthwise, stride and kept maps",
       Depthwise({2, 23, 21, 40}, 5, 2),
       {33, 18},
       Tail::kGlobalAvgPool,
       {true, true}},
      {"depthwise, several images a unit", Depthwise({150, 4, 3, 17}, 3), {9}, Tail::kMaxPool},
      {"depthwise, far weights", Depthwise({1, 5, 6, 600}, 3), {600}},
      {"depthwise, 13 units", Depthwise({13, 18, 17, 24}, 3), {33, 20}, Tail::kMaxPool},
      {"no images", First({0, 8, 8, 6}, 10, 3, 1), {8, 4}, Tail::kMaxPool},
  };
}

inline MlpConvProblem ProblemOf(const ChainCase& c) {
  MlpConvProblem problem{.layers = {c.first}, .activations = {}, .tail = c.tail};
  for (int64_t width : c.widths) {
    Conv2dProblem layer;
    layer.input = problem.layers.back().output();
    layer.out_channels = width;
    problem.layers.push_back(layer);
  }
  for (size_t i = 0; i < problem.layers.size(); ++i) {
    problem.activations.push_back(kActivations[(i + 1) % 3]);
  }
  Pool2dProblem& pool = problem.pool;
  pool.input = problem.layers.back().output();
  pool.kernel_h = pool.kernel_w = 3;
  pool.stride_h = pool.stride_w = 2;
  pool.ceil_mode = true;
  pool.count_include_pad = false;
  return problem;
}

inline MlpConvProblem ProblemOf(const ChainCase& c, ConvMethod precision) {
  MlpConvProblem problem = ProblemOf(c);
  for (Conv2dProblem& layer : problem.layers) layer.method = precision;
  return problem;
}

}  // namespace ninc::test
