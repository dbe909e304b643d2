#include "cuda/conv2d/conv2d_shape.h"

#include <algorithm>
#include <limits>
#include <string>

namespace ninc::cuda {

ProductShape ShapeOf(const Conv2dProblem& p, Pass pass) {
  const int64_t taps = p.kernel_h * p.kernel_w;
  if (pass == Pass::kBackwardData) return {p.input.pixels(), p.input.c, p.group_out(), taps};
  return {p.output().pixels(), p.out_channels, p.group_in(), taps};
}

Status CheckSize(const Conv2dProblem& p) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  const auto fits = [&](const char* what, int64_t elements) {
    if (elements <= kMost) return Status();
    return InvalidShape("convolution " + p.ToString() + " on cuda: " + what + " has " +
                        std::to_string(elements) + " elements, at most " + std::to_string(kMost) +
                        " are possible");
  };
  NINC_RETURN_IF_ERROR(fits("the input", p.input.size()));
  NINC_RETURN_IF_ERROR(fits("the output", p.output().size()));
  const int64_t h = p.input.h + p.padding.top + p.padding.bottom;
  const int64_t w = p.input.w + p.padding.left + p.padding.right;
  if (std::max(h, w) >= int64_t{1} << 28) {
    return InvalidShape("convolution " + p.ToString() + " on cuda: the padded input is " +
                        std::to_string(std::max(h, w)) + " pixels long, below 2^28 are possible");
  }
  // Kernels find a pixel by adding the offset of a kernel's first position, in the padding too, to
  // that of a position from the first, of 32 bits each.
  const auto with_border = [&](const Shape& picture) {
    const int64_t corner = p.padding.top * picture.w + p.padding.left;
    const int64_t window =
        (p.kernel_h - 1) * p.dilation_h * picture.w + (p.kernel_w - 1) * p.dilation_w;
    return picture.size() + std::max(corner, window) * picture.c;
  };
  NINC_RETURN_IF_ERROR(fits("the input with its border", with_border(p.input)));
  NINC_RETURN_IF_ERROR(fits("the output with its border", with_border(p.output())));
  for (Pass pass : {Pass::kForward, Pass::kBackwardData}) {
    NINC_RETURN_IF_ERROR(fits("the packed weight", ShapeOf(p, pass).packed_size()));
  }
  return Status();
}

FastDivisor MakeDivisor(int64_t divisor) {
  FastDivisor d;
  d.divisor = static_cast<uint32_t>(divisor);
  while ((uint64_t{1} << d.shift) < d.divisor) ++d.shift;
  d.multiplier = static_cast<uint32_t>(
      ((uint64_t{1} << 32) * ((uint64_t{1} << d.shift) - d.divisor)) / d.divisor + 1);
  return d;
}

Gather MakeGather(const Conv2dProblem& p, Pass pass) {
  const Shape out = p.output();
  Gather gather{};
  const auto axis = [&](int64_t in, int64_t outputs, int64_t kernel, int64_t stride,
                        int64_t dilation, int64_t padding) {
    GatherAxis a{};
    a.kernel = static_cast<int32_t>(kernel);
    const bool data = pass == Pass::kBackwardData;
    a.size = static_cast<int32_t>(data ? outputs : in);
    a.origin = static_cast<int32_t>(data ? padding : -padding);
    a.stride = static_cast<int32_t>(data ? 1 : stride);
    a.step = static_cast<int32_t>(data ? -dilation : dilation);
    a.divisor = MakeDivisor(data ? stride : 1);
    return a;
  };
  gather.h = axis(p.input.h, out.h, p.kernel_h, p.stride_h, p.dilation_h, p.padding.top);
  gather.w = axis(p.input.w, out.w, p.kernel_w, p.stride_w, p.dilation_w, p.padding.left);
  const Shape from = pass == Pass::kBackwardData ? out : p.input;
  const Shape to = pass == Pass::kBackwardData ? p.input : out;
  gather.channels = static_cast<int32_t>(from.c);
  gather.rows = static_cast<int32_t>(to.pixels());
  gather.columns = MakeDivisor(to.w);
  gather.image = MakeDivisor(to.h * to.w);
  gather.divided = gather.h.divisor.divisor != 1 || gather.w.divisor.divisor != 1;
  gather.masked = gather.divided == 0 && p.kernel_h * p.kernel_w <= 32;
  for (int64_t r = 0; gather.masked && r < p.kernel_h; ++r) gather.row_bits |= 1u << r * p.kernel_w;
  return gather;
}

Chunks SplitPixels(int64_t pixels, int64_t blocks, int64_t least) {
  constexpr int64_t kWantedBlocks = 264;  // two for each multiprocessor of a large device
  const int64_t count =
      std::clamp<int64_t>(pixels / least, 1, std::max<int64_t>(1, kWantedBlocks / blocks));
  const int64_t chunk = std::max<int64_t>(kDepth, RoundUp(CeilDiv(pixels, count), kDepth));
  return {chunk, CeilDiv(pixels, chunk)};
}

}  // namespace ninc::cuda
