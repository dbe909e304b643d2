#include "ninc/problem.h"

#include <algorithm>
#include <initializer_list>

namespace ninc {
namespace {

// 4 TiB of float32: beyond any machine, and far enough below 2^63 that sizes in bytes, FLOPs of a
// row and the like can be computed without another check.
constexpr int64_t kMaxElements = int64_t{1} << 40;
// Kernels, strides and the like; products of two of them stay in range.
constexpr int64_t kMaxExtent = int64_t{1} << 30;

std::string Pair(int64_t h, int64_t w) {
  return h == w ? std::to_string(h) : std::to_string(h) + "×" + std::to_string(w);
}
std::string Kernel(int64_t h, int64_t w) { return std::to_string(h) + "×" + std::to_string(w); }

std::string ToText(const Padding& p) {
  if (p.top == p.bottom && p.left == p.right) return Pair(p.top, p.left);
  return "(top " + std::to_string(p.top) + ", left " + std::to_string(p.left) + ", bottom " +
         std::to_string(p.bottom) + ", right " + std::to_string(p.right) + ")";
}

// Whether every value lies in [low, kMaxExtent].
bool InRange(int64_t low, std::initializer_list<int64_t> values) {
  return std::all_of(values.begin(), values.end(),
                     [low](int64_t value) { return value >= low && value <= kMaxExtent; });
}

Status OutOfRange(const std::string& what, int64_t low, const std::string& got) {
  return InvalidArgument(what + " must be " + (low == 0 ? "0" : "1") +
                         " or more (and at most 2^30), got " + got);
}

// A product of sizes stays within kMaxElements. An empty batch counts as one image: its plan has to
// be computable too.
bool FitsMemory(std::initializer_list<int64_t> sizes) {
  int64_t product = 1;
  for (int64_t size : sizes) {
    size = std::max<int64_t>(1, size);
    if (size > kMaxElements / product) return false;
    product *= size;
  }
  return true;
}

Status ValidateInput(const Shape& input) {
  if (input.n < 0 || input.h < 1 || input.w < 1 || input.c < 1) {
    return InvalidShape("input sizes must be positive (the batch may be 0), got " +
                        input.ToString());
  }
  if (!FitsMemory({input.n, input.h, input.w, input.c})) {
    return InvalidShape("input of " + input.ToString() + " has more than 2^40 elements");
  }
  return {};
}

Status KernelTooLarge(int64_t h, int64_t w, int64_t padded_h, int64_t padded_w) {
  return InvalidShape("kernel of " + Kernel(h, w) + " (dilation included) is larger than the " +
                      Kernel(padded_h, padded_w) + " of the padded input");
}

Status ValidateOutput(const Shape& output) {
  if (FitsMemory({output.n, output.h, output.w, output.c})) return {};
  return InvalidShape("output of " + output.ToString() + " has more than 2^40 elements");
}

}  // namespace

Status Conv2dProblem::Validate() const {
  NINC_RETURN_IF_ERROR(ValidateInput(input));
  if (!InRange(1, {kernel_h, kernel_w})) {
    return OutOfRange("kernel size", 1, Pair(kernel_h, kernel_w));
  }
  if (!InRange(1, {stride_h, stride_w})) return OutOfRange("stride", 1, Pair(stride_h, stride_w));
  if (!InRange(1, {dilation_h, dilation_w})) {
    return OutOfRange("dilation", 1, Pair(dilation_h, dilation_w));
  }
  if (!InRange(0, {padding.top, padding.left, padding.bottom, padding.right})) {
    return OutOfRange("padding", 0, ToText(padding));
  }
  if (!InRange(1, {out_channels})) {
    return OutOfRange("out_channels", 1, std::to_string(out_channels));
  }
  if (!InRange(1, {groups})) return OutOfRange("groups", 1, std::to_string(groups));
  if (method > ConvMethod::kReduced) {
    return InvalidArgument("method must be one of ConvMethod, got " +
                           std::to_string(static_cast<int>(method)));
  }
  if (input.c % groups != 0 || out_channels % groups != 0) {
    return InvalidShape("input and output channels must be multiples of groups " +
                        std::to_string(groups) + ", got " + std::to_string(input.c) + " and " +
                        std::to_string(out_channels));
  }
  const int64_t reach_h = dilation_h * (kernel_h - 1) + 1;
  const int64_t reach_w = dilation_w * (kernel_w - 1) + 1;
  const int64_t padded_h = input.h + padding.top + padding.bottom;
  const int64_t padded_w = input.w + padding.left + padding.right;
  if (reach_h > padded_h || reach_w > padded_w) {
    return KernelTooLarge(reach_h, reach_w, padded_h, padded_w);
  }
  if (!FitsMemory({out_channels, group_in(), kernel_h, kernel_w})) {
    return InvalidShape("weights of " + std::to_string(out_channels) + "×" +
                        std::to_string(group_in()) + "×" + Kernel(kernel_h, kernel_w) +
                        " have more than 2^40 elements");
  }
  return ValidateOutput(output());
}

std::string Conv2dProblem::ToString() const {
  std::string text = input.ToString() + " -> " + std::to_string(out_channels) + ", " +
                     Kernel(kernel_h, kernel_w) + ", stride " + Pair(stride_h, stride_w) +
                     ", padding " + ToText(padding);
  if (dilation_h != 1 || dilation_w != 1) text += ", dilation " + Pair(dilation_h, dilation_w);
  if (groups != 1) text += ", groups " + std::to_string(groups);
  return text;
}

Status Pool2dProblem::Validate() const {
  NINC_RETURN_IF_ERROR(ValidateInput(input));
  if (!InRange(1, {kernel_h, kernel_w})) {
    return OutOfRange("kernel size", 1, Pair(kernel_h, kernel_w));
  }
  if (!InRange(1, {stride_h, stride_w})) return OutOfRange("stride", 1, Pair(stride_h, stride_w));
  if (!InRange(0, {padding_h, padding_w})) {
    return OutOfRange("padding", 0, Pair(padding_h, padding_w));
  }
  if (padding_h > kernel_h / 2 || padding_w > kernel_w / 2) {
    return InvalidArgument("padding must be at most half the kernel of " +
                           Kernel(kernel_h, kernel_w) + ", got " + Pair(padding_h, padding_w));
  }
  // A window may hang over the lower right edge by less than a stride where sizes round up.
  const int64_t over_h = ceil_mode ? stride_h - 1 : 0, over_w = ceil_mode ? stride_w - 1 : 0;
  if (kernel_h > input.h + 2 * padding_h + over_h || kernel_w > input.w + 2 * padding_w + over_w) {
    return KernelTooLarge(kernel_h, kernel_w, input.h + 2 * padding_h, input.w + 2 * padding_w);
  }
  return ValidateOutput(output());
}

std::string Pool2dProblem::ToString() const {
  std::string text = input.ToString() + ", " + Kernel(kernel_h, kernel_w) + ", stride " +
                     Pair(stride_h, stride_w) + ", padding " + Pair(padding_h, padding_w);
  if (ceil_mode) text += ", ceil";
  if (!count_include_pad) text += ", without padding";
  return text;
}

}  // namespace ninc
