// Forward pass and data gradient: the launch of the kernels that were chosen.
#include "cuda/conv2d/conv2d.h"

#include "cuda/conv2d/conv2d_compile.h"
#include "cuda/conv2d/conv2d_groups.h"
#include "cuda/conv2d/conv2d_narrow.h"

namespace ninc::cuda {
namespace {

// By precision, then block tile; 64×16 is strict alone.
constexpr KernelId kKernels[][kBlockTiles] = {
    {{"conv2d", "ninc_conv2d_strict_128x32"},
     {"conv2d", "ninc_conv2d_strict_128x64"},
     {"conv2d", "ninc_conv2d_strict_64x96"},
     {"conv2d", "ninc_conv2d_strict_64x16"}},
    {{"conv2d", "ninc_conv2d_split_128x32"},
     {"conv2d", "ninc_conv2d_split_128x64"},
     {"conv2d", "ninc_conv2d_split_64x96"}},
    {{"conv2d", "ninc_conv2d_reduced_128x32"},
     {"conv2d", "ninc_conv2d_reduced_128x64"},
     {"conv2d", "ninc_conv2d_reduced_64x96"}},
};

// Of Conv2dArgs or GroupsArgs.
template <class Args>
void SetArrays(Args& args, const ProductArrays& arrays) {
  SetPicture(args.gather, arrays.picture);
  args.packed = arrays.packed;
  args.bias = arrays.bias;
  args.mask = arrays.mask;
  args.y = arrays.y;
}

Product OfGroups(const Conv2dPass& conv, Limits limits) {
  const ProductShape& shape = conv.shape;
  GroupsArgs fixed{};
  fixed.gather = MakeGather(conv.problem, conv.pass);
  fixed.limits = limits;
  fixed.count = static_cast<int32_t>(shape.rows * shape.columns);
  fixed.columns = MakeDivisor(shape.columns);
  fixed.group = MakeDivisor(shape.columns / conv.problem.groups);
  fixed.group_channels = static_cast<int32_t>(shape.channels);
  return [fixed](Stream& stream, const ProductArrays& arrays) {
    GroupsArgs args = fixed;
    SetArrays(args, arrays);
    return stream.Launch({"conv2d_groups", "ninc_conv2d_groups"}, ThreadGrid(args.count), args);
  };
}

Product OfNarrowGradient(const Conv2dPass& conv, Limits limits) {
  const Conv2dProblem& problem = conv.problem;
  NarrowDataArgs fixed{};
  fixed.limits = limits;
  fixed.rows = static_cast<int32_t>(problem.input.pixels());
  fixed.channels = static_cast<int32_t>(problem.input.c);
  fixed.outputs = static_cast<int32_t>(problem.out_channels);
  // Some blocks for each multiprocessor of a large device, and no more than a grid may have.
  constexpr int64_t kMostBlocks = 4096;
  fixed.chunk = static_cast<int32_t>(RoundUp(CeilDiv(fixed.rows, kMostBlocks), kNarrowPixels));
  const uint32_t threads = NarrowThreads(problem.input.c);
  const Grid grid{.x = Blocks(CeilDiv(problem.input.c, threads)),
                  .y = Blocks(CeilDiv(fixed.rows, fixed.chunk)),
                  .threads = threads};
  return [fixed, grid](Stream& stream, const ProductArrays& arrays) {
    NarrowDataArgs args = fixed;
    args.dy = arrays.picture;
    args.packed = arrays.packed;
    args.mask = arrays.mask;
    args.dx = arrays.y;
    return stream.Launch({"conv2d_narrow", "ninc_conv2d_narrow_data"}, grid, args);
  };
}

Product OfTiles(const Conv2dPass& conv, Limits limits) {
  const ProductShape& shape = conv.shape;
  const KernelId kernel = kKernels[conv.precision][static_cast<int>(conv.tile)];
  Conv2dArgs fixed{};
  fixed.gather = MakeGather(conv.problem, conv.pass);
  fixed.limits = limits;
  fixed.columns = static_cast<int32_t>(shape.columns);
  fixed.packed_columns = static_cast<int32_t>(shape.packed_columns());
  fixed.stages = static_cast<int32_t>(shape.stages());
  fixed.column_tiles = static_cast<int32_t>(CeilDiv(shape.columns, conv.block().columns));
  const Grid grid{.x = Blocks(CeilDiv(shape.rows, conv.block().rows) * fixed.column_tiles),
                  .threads = conv.block().threads};
  return [kernel, fixed, grid](Stream& stream, const ProductArrays& arrays) {
    Conv2dArgs args = fixed;
    SetArrays(args, arrays);
    args.pairs = args.columns % 2 == 0 && IsAligned(args.y, 8) && IsAligned(args.mask, 8);
    return stream.Launch(kernel, grid, args);
  };
}

}  // namespace

void AddConvolution(Kernel& kernel, size_t layer, const Conv2dPass& conv,
                    const std::string& algorithm) {
  if (conv.pass != Pass::kBackwardWeights) kernel.packings.push_back(PackingOf(conv));
  kernel.convolutions.push_back({layer, conv.pass, conv.problem.Flops(), algorithm, {}, {}});
}

Product MakeProduct(const Conv2dPass& conv, Activation activation) {
  const Limits limits = MakeLimits(activation);
  if (conv.shape.rows == 0) {
    return [](Stream&, const ProductArrays&) { return Status(); };
  }
  switch (conv.kernels) {
    case Conv2dPass::Kernels::kGroups:
      return OfGroups(conv, limits);
    case Conv2dPass::Kernels::kNarrow:
      return OfNarrowGradient(conv, limits);
    case Conv2dPass::Kernels::kTiles:
      break;
  }
  return OfTiles(conv, limits);
}

// y(n,p,q,k) = activation(bias(k) + sum_rsc x(n, p*stride + r*dil - pad, ..., c) * weight(k,c,r,s))
Compiled Compile(const step::Conv2d& step, const CompileContext&) {
  NINC_RETURN_IF_ERROR(CheckSize(step.problem));
  const Conv2dPass conv(step.problem, Pass::kForward);
  const Product product = MakeProduct(conv, step.activation);
  Kernel kernel{[step, product](const Run& run) {
    return product(On(run), {.picture = run.In(step.x),
                             .packed = run.In(step.packed),
                             .bias = run.In(step.bias),
                             .y = run.Out(step.y)});
  }};
  AddConvolution(kernel, 0, conv, conv.Name());
  return kernel;
}

// dx(n,h,w,c) = the sum of dy(n,p,q,k) * weight(k,c,r,s) over all p, q, r, s, k that read it; with
// x only where the activation that gave x passed on what it was given, else 0.
Compiled Compile(const step::Conv2dBackwardData& step, const CompileContext&) {
  NINC_RETURN_IF_ERROR(CheckSize(step.problem));
  const Activation activation = step.x != kNoValue ? step.activation : Activation{};
  const Conv2dPass conv(step.problem, Pass::kBackwardData);
  const Product product = MakeProduct(conv, activation);
  Kernel kernel{[step, product](const Run& run) {
    return product(On(run), {.picture = run.In(step.dy),
                             .packed = run.In(step.packed),
                             .mask = run.In(step.x),
                             .y = run.Out(step.dx)});
  }};
  AddConvolution(kernel, 0, conv, conv.Name());
  return kernel;
}

}  // namespace ninc::cuda
