// Packing of weights for the forward pass and the data gradient.
#include "cuda/conv2d/conv2d_compile.h"

namespace ninc::cuda {

Packing PackingOf(const Conv2dPass& conv) {
  const ProductShape& shape = conv.shape;
  // conv2d.cu reads weights by stages, the other kernels one after the other.
  const bool staged = conv.kernels == Conv2dPass::Kernels::kTiles;
  const int64_t count = staged ? shape.packed_size() : shape.reduction() * shape.columns;
  PackArgs fixed{};
  fixed.count = static_cast<int32_t>(count);
  fixed.columns = static_cast<int32_t>(shape.columns);
  fixed.staged = staged;
  fixed.packed_columns = static_cast<int32_t>(staged ? shape.packed_columns() : shape.columns);
  fixed.channels = static_cast<int32_t>(shape.channels);
  fixed.reduction = static_cast<int32_t>(shape.reduction());
  fixed.taps = static_cast<int32_t>(shape.taps);
  fixed.inputs = static_cast<int32_t>(conv.problem.group_in());
  fixed.group_columns = static_cast<int32_t>(shape.columns / conv.problem.groups);
  fixed.transposed = conv.pass == Pass::kBackwardData;
  return {conv.Name() + (fixed.transposed ? ", mirrored" : ""),
          static_cast<size_t>(count) * sizeof(float),
          [fixed](Backend& stream, const float* weight, const float* scale, float* packed, int) {
            PackArgs args = fixed;
            args.weight = weight;
            args.scale = scale;
            args.packed = packed;
            return static_cast<CudaBackend&>(stream).stream().Launch(
                {"conv2d_pack", "ninc_conv2d_pack"}, ThreadGrid(args.count), args);
          }};
}

}  // namespace ninc::cuda
