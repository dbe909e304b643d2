// The problems the kernels solve: the shape of one convolution or one pooling, and everything that
// follows from it (output size, FLOPs, validity). Names as in the literature: input N×H×W×C, output
// N×P×Q×K where P and Q are out_h and out_w, kernel R×S. What follows from a problem that Validate
// refuses means nothing, but asking for it harms nobody: sizes are 0 where a divisor is below 1.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "ninc/export.h"
#include "ninc/status.h"
#include "ninc/tensor.h"

namespace ninc {

struct Padding {
  int64_t top = 0, left = 0, bottom = 0, right = 0;
  bool operator==(const Padding&) const = default;
};

// What follows a product or sum at once, before its result leaves the registers:
// y = min(max(x, low), high); NaN stays NaN. An infinite limit is none. Where y is a limit, the
// gradient of x is 0.
struct Activation {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  bool operator==(const Activation&) const = default;
};
inline constexpr Activation kNoActivation{};
inline constexpr Activation kRelu{0.0f};
inline constexpr Activation kRelu6{0.0f, 6.0f};

// The three products of a convolution layer (oneDNN's terms).
enum class Pass : uint8_t { kForward, kBackwardData, kBackwardWeights };

// Which algorithm a convolution takes where there is more than one. kAuto: the estimated fastest.
// kDirect: plain sums of plain products, precise to the last digits of float32. The others name
// Winograd's tile, for tests and benchmarks; where it does not fit the problem they mean kDirect.
// kReduced: about three digits, where the device gains by it, else kAuto. kSplit: direct, by split
// bfloat16 products, where the processor has units for them. On a GPU it says only how precise
// products are: float32 for kDirect, tf32 for kReduced, split tf32 for all others.
enum class ConvMethod : uint8_t {
  kAuto,
  kDirect,
  kWinograd4,
  kWinograd6,
  kWinograd8,
  kSplit,
  kReduced
};

// y(n, p, q, k) = bias(k) + sum over r, s, c of
//     x(n, p*stride_h + r*dilation_h - padding.top, q*stride_w + s*dilation_w - padding.left, c)
//     * weight(k, c, r, s)
// with zeros outside the picture; with groups, output channel k sees only its group's C/groups
// input channels.
struct NINC_API Conv2dProblem {
  Shape input;                         // N×H×W×C
  int64_t out_channels = 1;            // K
  int64_t kernel_h = 1, kernel_w = 1;  // R, S
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  Padding padding;
  int64_t groups = 1;
  ConvMethod method = ConvMethod::kAuto;

  int64_t out_h() const {  // P
    return OutSize(input.h + padding.top + padding.bottom, kernel_h, dilation_h, stride_h);
  }
  int64_t out_w() const {  // Q
    return OutSize(input.w + padding.left + padding.right, kernel_w, dilation_w, stride_w);
  }
  Shape output() const { return {input.n, out_h(), out_w(), out_channels}; }
  int64_t group_in() const { return groups < 1 ? 0 : input.c / groups; }
  int64_t group_out() const { return groups < 1 ? 0 : out_channels / groups; }
  int64_t weight_size() const { return out_channels * group_in() * kernel_h * kernel_w; }
  // Multiply-adds count two; counted as direct convolution, padding included.
  double Flops() const {
    return 2.0 * static_cast<double>(output().pixels()) * static_cast<double>(weight_size());
  }
  // A matrix product over pixels: 1×1, stride 1, no padding.
  bool IsPointwise() const {
    return kernel_h == 1 && kernel_w == 1 && stride_h == 1 && stride_w == 1 && padding == Padding{};
  }
  // One filter a channel, so that no sum goes over channels.
  bool IsDepthwise() const { return groups > 1 && groups == input.c && out_channels == input.c; }
  // Says which field is wrong, what it is and what it must be.
  Status Validate() const;
  std::string ToString() const;  // "1×96×16×16 -> 192, 5×5, stride 1, padding 2"
  bool operator==(const Conv2dProblem&) const = default;

 private:
  static int64_t OutSize(int64_t padded, int64_t kernel, int64_t dilation, int64_t stride) {
    return stride < 1 ? 0 : (padded - dilation * (kernel - 1) - 1) / stride + 1;
  }
};

// Pooling windows as PyTorch defines them: with ceil_mode a last window may hang over the lower or
// right edge but must start inside the picture or its upper/left padding. Windows are clipped to
// the padded picture; a maximum ignores padding; an average divides by the window's area inside the
// padded picture (count_include_pad) or inside the picture itself.
struct NINC_API Pool2dProblem {
  Shape input;                         // N×H×W×C
  int64_t kernel_h = 1, kernel_w = 1;  // R, S
  int64_t stride_h = 1, stride_w = 1;
  int64_t padding_h = 0, padding_w = 0;  // at most half the kernel
  bool ceil_mode = false;
  bool count_include_pad = true;  // averages only

  int64_t out_h() const { return OutSize(input.h, kernel_h, stride_h, padding_h); }
  int64_t out_w() const { return OutSize(input.w, kernel_w, stride_w, padding_w); }
  Shape output() const { return {input.n, out_h(), out_w(), input.c}; }
  Status Validate() const;
  std::string ToString() const;
  bool operator==(const Pool2dProblem&) const = default;

 private:
  int64_t OutSize(int64_t in, int64_t kernel, int64_t stride, int64_t padding) const {
    if (stride < 1) return 0;
    const int64_t span = in + 2 * padding - kernel;
    int64_t out = (ceil_mode ? (span + stride - 1) / stride : span / stride) + 1;
    // PyTorch's rule: the last window starts inside the picture or its left padding.
    if (ceil_mode && (out - 1) * stride >= in + padding) --out;
    return out;
  }
};

// A pool of a training step and what stands around it: the activation that gave x, whose share of
// the backward pass is the pool's, and the dropout after the pool.
struct TrainingPoolProblem {
  enum class Kind : uint8_t { kMax, kAvg };
  Kind kind = Kind::kMax;
  Pool2dProblem pool;
  Activation activation;
  float dropout = 0.0f;  // p in [0, 1)
  uint32_t layer = 0;    // the dropout's number
};

// An mlpconv (Lin, Chen, Yan 2013, section 3.1): a convolution, 1×1 convolutions on its output,
// each with its activation, and maybe a pool. Every layer reads the output of the one before. The
// first may be depthwise, as in a separable convolution (Howard et al. 2017, section 3.1).
struct MlpConvProblem {
  enum class Tail : uint8_t { kNone, kMaxPool, kAvgPool, kGlobalAvgPool };
  static constexpr size_t kMaxLayers = 8;

  std::vector<Conv2dProblem> layers;  // 1 to kMaxLayers; all but the first IsPointwise, of groups 1
  std::vector<Activation> activations;
  Tail tail = Tail::kNone;
  Pool2dProblem pool = {};  // of kMaxPool and kAvgPool

  Shape output() const {
    if (layers.empty()) return {};
    const Shape map = layers.back().output();
    if (tail == Tail::kNone) return map;
    return tail == Tail::kGlobalAvgPool ? Shape{map.n, 1, 1, map.c} : pool.output();
  }
};

}  // namespace ninc
