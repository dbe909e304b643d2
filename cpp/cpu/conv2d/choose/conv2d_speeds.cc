// Figures fitted to measured times of the 200 shapes of `python -m benchmarks.regret`, its three
// passes on one core, and but for gradients of weights of 600 others (its seeds 11, 12 and 23; on
// AVX2 11 and 23): by least squares first, then each figure moved as long as the choices that
// follow get better. Split products' were fitted on the one processor with matrix units that was
// there. Three of AVX2's are a compromise with a Zen 3, whose L2 is small: gradient.pointer,
// gradient.weight and winograd_gradient.add, half of what AVX-512's vectors, twice as wide, take.
// The benchmark prints what is lost by the choice, docs/special-paths.md what each figure saves.
#include "cpu/conv2d/choose/conv2d_speeds.h"

#include "ninc/target.h"

namespace ninc::cpu {
namespace {

constexpr Speeds kAvx512Speeds = {
    .rows = {.task = 949, .pointer = 1.83, .copy = 2.8},
    .direct = {.multiply = 0.129, .term = 1.05},
    .split = {.product = 54.8,
              .left = 52,
              .line = 1.4,
              .picture_product = 40,
              .picture_sums = 55,
              .picture_pixel = 5,
              .gradient_product = 29.6,
              .gradient_left = 71.3,
              .gradient_right = 24,
              .gradient_add = 6.3},
    .winograd = {.multiply = 0.161,
                 .to = 3.44,
                 .from = 2.69,
                 .line = 0.682,
                 .alone = 1.83,
                 .few_multiply = 0.296,
                 .few_from = 0.762},
    .gradient = {.pointer = 2.87, .copy = 2.34, .weight = 0.917, .multiply = 0.152, .call = 37.2},
    .winograd_gradient = {.multiply = 0.153,
                          .call = 11.6,
                          .pointer = 0.368,
                          .step = 0,
                          .move = 0.441,
                          .part = 0.65,
                          .add = 3.99}};
// Fitted on AVX2, which has no matrix units; nearly the same in vectors of any width.
constexpr Speeds kAvx2Speeds = {
    .rows = {.task = 768, .pointer = 1.73, .copy = 1.12},
    .direct = {.multiply = 0.153, .term = 0},
    .split = {},
    .winograd = {.multiply = 0.133,
                 .to = 1.79,
                 .from = 2.7,
                 .line = 0.55,
                 .alone = 0.471,
                 .few_multiply = 0.342,
                 .few_from = 0.36},
    .gradient = {.pointer = 1.31, .copy = 5.47, .weight = 0.5, .multiply = 0.154, .call = 27.1},
    .winograd_gradient = {.multiply = 0.15,
                          .call = 18.7,
                          .pointer = 1.14,
                          .step = 0.169,
                          .move = 0.066,
                          .part = 3.43,
                          .add = 2}};

}  // namespace

const Speeds& SpeedsOf(Target target) {
  return target == Target::kAmx || target == Target::kAvx512 ? kAvx512Speeds : kAvx2Speeds;
}

}  // namespace ninc::cpu
