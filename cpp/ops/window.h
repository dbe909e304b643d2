// Slice: every step-th row, column and channel of a range.
// Pad: x with a margin of one value around it, or without some of its edge where a margin is below
// 0. One step does both, and their gradients: a window on x, and one value around x.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>

#include "ops/rule/op_rule.h"

namespace ninc {

// Along an axis, y(i) = x((i · stride + offset) / dilation), where that is a whole number within x.
struct WindowAxis {
  int64_t offset = 0, stride = 1, dilation = 1;
  WindowAxis Inverse() const { return {-offset, dilation, stride}; }
};

namespace step {
struct Window {  // y = x seen through the axes; `fill` elsewhere
  WindowAxis h, w, c;
  float fill;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
  StepSummary summary() const { return {"window", y}; }
};
}  // namespace step

template <>
struct OpRule<op::Slice> : NoParameters, TakesAnyChannels {
  static constexpr OpFace kFace{.name = "Slice", .stem = "slice"};
  static constexpr Places kPlaces = Places::kMoved;
  using Steps = StepList<step::Window>;

  static void VisitFields(op::Slice& op, auto& visit) {
    const auto range = [&](const char* name, op::Range& range) {
      const std::array<int64_t*, 3> numbers{&range.begin, &range.end, &range.step};
      visit.Integers(name, numbers, -op::Range::kToTheEnd);
    };
    range("channels", op.channels);
    range("height", op.height);
    range("width", op.width);
  }
  static std::string Check(const op::Slice& op) {
    const bool forward = op.channels.step >= 1 && op.height.step >= 1 && op.width.step >= 1;
    return forward ? "" : "steps must be at least 1";
  }

  static bool ClassesPass(const op::Slice& op) { return IsWhole(op.channels); }

  // A part of channels whose number is open depends on it in no simple way.
  static Channels Gives(const op::Slice& op, const auto& of) {
    if (IsWhole(op.channels)) return of.x(0);
    const std::optional<int64_t> given = of.Number(of.x(0));
    const int64_t count = given ? Count(op.channels, *given) : 0;
    return {.plus = count, .is_pixel = of.x(0).is_pixel, .known = count > 0};
  }

  static Result<Shape> OutputShape(const op::Slice& op, Shapes x) {
    const Shape y{x[0].n, Count(op.height, x[0].h), Count(op.width, x[0].w),
                  Count(op.channels, x[0].c)};
    if (y.h > 0 && y.w > 0 && y.c > 0) return y;
    return InvalidShape("nothing is left of input shape " + x[0].ToString());
  }

  static Status Lower(const op::Slice& op, NodeId id, auto& to) {
    const Shape& x = to.input_shape(id);
    to.Emit(step::Window{Axis(op.height, x.h), Axis(op.width, x.w), Axis(op.channels, x.c), 0.0f,
                         to.input(id), to.NewValue(id)},
            {id});
    return {};
  }

 private:
  static bool IsWhole(const op::Range& range) {
    return range.begin == 0 && range.end == op::Range::kToTheEnd && range.step == 1;
  }
  // As Python counts: from the end where below 0, and not beyond either end.
  static int64_t Place(int64_t at, int64_t size) {
    if (at == op::Range::kToTheEnd) return size;
    return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
  }
  static int64_t Count(const op::Range& range, int64_t size) {
    const int64_t length = Place(range.end, size) - Place(range.begin, size);
    return length <= 0 ? 0 : (length - 1) / range.step + 1;
  }
  static WindowAxis Axis(const op::Range& range, int64_t size) {
    return {Place(range.begin, size), range.step};
  }
};

template <>
struct OpRule<op::Pad> : NoParameters, TakesAnyChannels {
  static constexpr OpFace kFace{.name = "Pad", .stem = "pad"};
  static constexpr Places kPlaces = Places::kMoved;
  using Steps = StepList<>;

  static void VisitFields(op::Pad& op, auto& visit) {
    const auto margin = [&](const char* name, op::Margin& margin) {
      const std::array<int64_t*, 2> ends{&margin.before, &margin.after};
      visit.Integers(name, ends, -op::Range::kToTheEnd);
    };
    margin("channels", op.channels);
    margin("height", op.height);
    margin("width", op.width);
    visit.Real("value", op.value, std::isfinite(op.value), "finite");
  }
  static std::string Check(const op::Pad&) { return {}; }

  static bool ClassesPass(const op::Pad& op) {
    return op.channels.before == 0 && op.channels.after == 0;
  }
  static Channels Gives(const op::Pad& op, const auto& of) {
    Channels x = of.x(0).WithPixel(false);
    x.known = x.known &&
              !__builtin_add_overflow(x.plus, op.channels.before + op.channels.after, &x.plus) &&
              (x.times != 0 || x.plus > 0);
    return x;
  }

  static Result<Shape> OutputShape(const op::Pad& op, Shapes x) {
    const auto size = [](int64_t size, const op::Margin& margin) {
      return size + margin.before + margin.after;
    };
    const Shape y{x[0].n, size(x[0].h, op.height), size(x[0].w, op.width),
                  size(x[0].c, op.channels)};
    if (y.h > 0 && y.w > 0 && y.c > 0) return y;
    return InvalidShape("nothing is left of input shape " + x[0].ToString());
  }

  static Status Lower(const op::Pad& op, NodeId id, auto& to) {
    to.Emit(step::Window{{-op.height.before},
                         {-op.width.before},
                         {-op.channels.before},
                         op.value,
                         to.input(id),
                         to.NewValue(id)},
            {id});
    return {};
  }
};

template <>
struct Gradient<step::Window> {
  static void Of(const step::Window& forward, auto& to) {
    to.EmitToInput(forward.x, [&](ValueId dx) {
      return step::Window{forward.h.Inverse(),    forward.w.Inverse(),
                          forward.c.Inverse(),    0.0f,
                          to.gradient(forward.y), dx};
    });
  }
};

}  // namespace ninc
