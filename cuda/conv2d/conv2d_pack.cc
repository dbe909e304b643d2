// Packing of weights for the forward pass and the data gradient.
#include "cuda/conv2d/conv2d_compile.h"

namespace ninc::cuda {

Packing PackingOf(const Conv2dProblem& problem, Pass pass) {
  const ProductShape shape = ShapeOf(problem, pass);
  // By stages for the kernels of conv2d.cu.
  const bool stages = problem.groups == 1 && !IsNarrowGradient(problem, pass);
  const int64_t count = stages ? shape.packed_size() : shape.reduction() * shape.columns;
  PackArgs fixed{};
  fixed.count = static_cast<int32_t>(count);
  fixed.columns = static_cast<int32_t>(shape.columns);
  fixed.stages = stages;
  fixed.packed_columns = static_cast<int32_t>(stages ? shape.packed_columns() : shape.columns);
  fixed.channels = static_cast<int32_t>(shape.channels);
  fixed.reduction = static_cast<int32_t>(shape.reduction());
  fixed.taps = static_cast<int32_t>(shape.taps);
  fixed.inputs = static_cast<int32_t>(problem.group_in());
  fixed.group_columns = static_cast<int32_t>(shape.columns / problem.groups);
  fixed.transposed = pass == Pass::kBackwardData;
  return {Conv2dAlgorithm(problem, pass) + (fixed.transposed ? ", mirrored" : ""),
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
