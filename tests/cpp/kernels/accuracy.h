// What an algorithm costs a layer in digits: against float64, relative to the output's largest
// magnitude, on values as a network has them.
#pragma once

#include <cstdio>

#include "cpu/conv2d/conv2d.h"
#include "reference/conv2d.h"
#include "support/check.h"

namespace ninc::test {

constexpr double kAllowed = 2e-5;

struct Layer {
  const char* name;
  int64_t batch, channels, map, out_channels, kernel;

  Conv2dProblem problem() const {
    Conv2dProblem p;
    p.input = {batch, map, map, channels};
    p.out_channels = out_channels;
    p.kernel_h = p.kernel_w = kernel;
    p.padding = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
    return p;
  }
};

// What a layer sees: pixels behind a ReLU, half of them zero; weights as they are initialised (He
// et al. 2015); gradients masked by the layer's own ReLU.
struct Data {
  explicit Data(const Conv2dProblem& p) {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<float>& values, int64_t count, float deviation, bool half) {
      values.resize(count);
      for (float& value : values) value = deviation * normal(generator);
      if (!half) return;
      for (float& value : values) value = normal(generator) > 0 ? value : 0.0f;
    };
    const double terms = static_cast<double>(p.input.c * p.kernel_h * p.kernel_w);
    fill(weight, p.weight_size(), static_cast<float>(std::sqrt(2.0 / terms)), false);
    fill(x, p.input.size(), 1.0f, false);
    for (float& value : x) value = std::max(value, 0.0f);
    fill(dy, p.output().size(), 1.0f, true);
  }
  std::vector<float> x, weight, dy;
};

inline std::vector<double> ReferenceOf(const Conv2dProblem& p, Pass pass, const Data& data) {
  switch (pass) {
    case Pass::kForward:
      return reference::Conv2dForward(p, data.x, data.weight, {}, kNone);
    case Pass::kBackwardData:
      return reference::Conv2dBackwardData(p, data.dy, data.weight);
    case Pass::kBackwardWeights:
      break;
  }
  return reference::Conv2dBackwardWeights(p, data.x, data.dy);
}

// The largest error over the largest magnitude.
inline double ErrorOf(const Conv2dProblem& p, Pass pass, const Data& data,
                      const std::vector<double>& want) {
  Call call(2, 0);
  const Workspace workspace = call.Scratch(cpu::Conv2dWorkspace({ChosenTarget(), p, pass}));
  float* out = call.Out(static_cast<int64_t>(want.size()));
  if (pass == Pass::kBackwardWeights) {
    cpu::Conv2dBackwardWeights({ChosenTarget(), p, Pass::kBackwardWeights}, call.In(data.x),
                               call.In(data.dy), out, nullptr, workspace);
  } else {
    float* packed = call.Aligned(cpu::PackedWeightBytes({ChosenTarget(), p, pass}));
    cpu::PackWeights({ChosenTarget(), p, pass}, call.In(data.weight), nullptr, packed,
                     call.threads());
    if (pass == Pass::kForward) {
      cpu::Conv2dForward({ChosenTarget(), p, Pass::kForward}, call.In(data.x), packed, nullptr,
                         kNone, out, workspace);
    } else {
      cpu::Conv2dBackwardData({ChosenTarget(), p, Pass::kBackwardData}, call.In(data.dy), packed,
                              nullptr, {}, out, workspace);
    }
  }
  const std::vector<float> got = call.Finish()[0];
  double error = 0, largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    error = std::max(error, std::abs(got[i] - want[i]));
    largest = std::max(largest, std::abs(want[i]));
  }
  return error / largest;
}

}  // namespace ninc::test
