// What MaxPool2d and AvgPool2d share: the fields of a sliding window, and the output that follows.
#pragma once

#include <array>
#include <utility>

#include "ops/rule/op_rule.h"
#include "ops/rule/shape_rule.h"

namespace ninc {

struct WindowPool2dRule : NoParameters, TakesAnyChannels, KeepsClasses {
  static constexpr Places kPlaces = Places::kMoved;

  static Channels Gives(const auto& /*op*/, const auto& of) {
    return of.x(0).WithPixel(false);  // padding may make it larger
  }

  template <class Pool>
  static std::string Check(const Pool& op) {
    for (const auto& [kernel, padding] :
         {std::pair(op.kernel_h, op.padding_h), std::pair(op.kernel_w, op.padding_w)}) {
      if (2 * padding <= kernel) continue;
      return "padding must be at most half of kernel_size = " + std::to_string(kernel) + ", got " +
             std::to_string(padding);
    }
    return {};
  }

  template <class Pool>
  static Result<Shape> OutputShape(const Pool& op, Shapes x) {
    const Shape& input = x[0];
    const int64_t h = input.h + 2 * op.padding_h, w = input.w + 2 * op.padding_w;
    // Where sizes round up, a window may hang over the lower right edge by less than a stride.
    const int64_t least_h = op.kernel_h - (op.ceil_mode ? op.stride_h - 1 : 0);
    const int64_t least_w = op.kernel_w - (op.ceil_mode ? op.stride_w - 1 : 0);
    if (h < least_h || w < least_w) {
      return Expected("a padded input of at least " + Extent(least_h, least_w), Extent(h, w),
                      input);
    }
    return WindowProblem(op, input).output();
  }

 protected:
  static void VisitWindow(auto& op, auto& visit) {
    visit.Integers("kernel_size", std::array{&op.kernel_h, &op.kernel_w}, 1);
    visit.Integers("stride", std::array{&op.stride_h, &op.stride_w}, 1);
    visit.Integers("padding", std::array{&op.padding_h, &op.padding_w}, 0);
    visit.Flag("ceil_mode", op.ceil_mode);
  }

  static Pool2dProblem WindowProblem(const auto& op, const Shape& input) {
    return {.input = input,
            .kernel_h = op.kernel_h,
            .kernel_w = op.kernel_w,
            .stride_h = op.stride_h,
            .stride_w = op.stride_w,
            .padding_h = op.padding_h,
            .padding_w = op.padding_w,
            .ceil_mode = op.ceil_mode};
  }
};

}  // namespace ninc
