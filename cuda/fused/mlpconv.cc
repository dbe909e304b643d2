// The mlpconv's host side: chains whose layers have at most 192 channels run in one kernel, wider
// ones layer by layer, as their maps do not fit into shared memory.
#include "cuda/fused/mlpconv.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string>

#include "base/carver.h"
#include "cuda/conv2d/conv2d_compile.h"
#include "cuda/pool/pooling.h"

namespace ninc::cuda {
namespace {

static_assert(kMaxChain == MlpConvProblem::kMaxLayers, "a chain's layers fit its arguments");

struct ChainKernel {
  int64_t rows, columns;  // pixels of a block, and the most channels
  uint32_t shared_bytes;
  KernelId kernels[3];  // by precision
};
constexpr ChainKernel kChains[] = {
    {64,
     96,
     ChainMemory<64, 96>::kBytes,
     {{"mlpconv", "ninc_mlpconv_strict_64x96"},
      {"mlpconv", "ninc_mlpconv_split_64x96"},
      {"mlpconv", "ninc_mlpconv_reduced_64x96"}}},
    {32,
     192,
     ChainMemory<32, 192>::kBytes,
     {{"mlpconv", "ninc_mlpconv_strict_32x192"},
      {"mlpconv", "ninc_mlpconv_split_32x192"},
      {"mlpconv", "ninc_mlpconv_reduced_32x192"}}},
};
constexpr uint32_t kThreads = 192;  // of all of them

// The kernel for a chain, or null: it is one layer, too wide, or its layers differ in precision.
const ChainKernel* FindChainKernel(const MlpConvProblem& p) {
  if (p.layers.size() < 2) return nullptr;
  int64_t widest = 0;
  for (const Conv2dProblem& layer : p.layers) {
    widest = std::max(widest, layer.out_channels);
    if (PrecisionIndex(layer.method) != PrecisionIndex(p.layers[0].method)) return nullptr;
  }
  for (const ChainKernel& chain : kChains) {
    if (widest <= chain.columns) return &chain;
  }
  return nullptr;
}

// "chain 32×192, split tf32"
std::string NameOf(const ChainKernel& kernel, const MlpConvProblem& p) {
  return "chain " + std::to_string(kernel.rows) + "×" + std::to_string(kernel.columns) + ", " +
         PrecisionName(PrecisionIndex(p.layers[0].method));
}

using Tail = MlpConvProblem::Tail;

// Maps that nobody keeps. Layer by layer they take turns in two places; one kernel writes the last
// one alone, for the tail.
struct Maps {
  Maps(const MlpConvProblem& p, bool in_one_kernel, Carver& carver) {
    if (in_one_kernel) {
      last = carver.Take(p.tail == Tail::kNone ? 0 : p.layers.back().output().size());
      return;
    }
    int64_t largest = 0;
    for (const Conv2dProblem& layer : p.layers) largest = std::max(largest, layer.output().size());
    for (float*& place : places) place = carver.Take(largest);
    last = places[(p.layers.size() - 1) % 2];
  }

  float* places[2] = {};  // of the layers before the last, in turns; null: they stay in the kernel
  float* last;
};

// Where each layer's output goes in a run.
using Outputs = std::array<float*, kMaxChain>;

Outputs OutputsOf(const step::MlpConv& step, bool in_one_kernel, const Run& run) {
  Carver carver(run.scratch().shared());
  const Maps maps(step.problem, in_one_kernel, carver);
  const size_t last = step.layers.size() - 1;
  Outputs outputs{};
  for (size_t i = 0; i <= last; ++i) {
    const step::MlpConv::Layer& layer = step.layers[i];
    outputs[i] = layer.kept ? run.Out(layer.y) : i == last ? maps.last : maps.places[i % 2];
  }
  if (step.problem.tail == Tail::kNone) outputs[last] = run.Out(step.y);
  return outputs;
}

// Queues all layers.
using Chain = std::function<Status(const Run& run, const Outputs& outputs)>;

Chain LayerByLayer(const step::MlpConv& step) {
  std::vector<Product> products;
  for (size_t i = 0; i < step.layers.size(); ++i) {
    products.push_back(
        MakeProduct({step.problem.layers[i], Pass::kForward}, step.problem.activations[i]));
  }
  return [step, products](const Run& run, const Outputs& outputs) -> Status {
    for (size_t i = 0; i < products.size(); ++i) {
      const ProductArrays arrays{.picture = i == 0 ? run.In(step.x) : outputs[i - 1],
                                 .packed = run.In(step.layers[i].packed),
                                 .bias = run.In(step.layers[i].bias),
                                 .y = outputs[i]};
      NINC_RETURN_IF_ERROR(products[i](On(run), arrays));
    }
    return {};
  };
}

Chain InOneKernel(const step::MlpConv& step, const ChainKernel& chain) {
  const MlpConvProblem& p = step.problem;
  MlpConvArgs fixed{};
  fixed.gather = MakeGather(p.layers[0], Pass::kForward);
  fixed.layers = static_cast<int32_t>(p.layers.size());
  for (size_t i = 0; i < p.layers.size(); ++i) {
    const ProductShape shape = ShapeOf(p.layers[i], Pass::kForward);
    ChainLayer& layer = fixed.layer[i];
    layer.limits = MakeLimits(p.activations[i]);
    layer.columns = static_cast<int32_t>(shape.columns);
    layer.packed_columns = static_cast<int32_t>(shape.packed_columns());
    layer.stages = static_cast<int32_t>(shape.stages());
  }
  const KernelId kernel = chain.kernels[PrecisionIndex(p.layers[0].method)];
  const Grid grid{.x = Blocks(CeilDiv(fixed.gather.rows, chain.rows)),
                  .threads = kThreads,
                  .shared_bytes = chain.shared_bytes};
  return [step, fixed, kernel, grid](const Run& run, const Outputs& outputs) {
    MlpConvArgs args = fixed;
    SetPicture(args.gather, run.In(step.x));
    for (size_t i = 0; i < step.layers.size(); ++i) {
      ChainLayer& layer = args.layer[i];
      layer.packed = run.In(step.layers[i].packed);
      layer.bias = run.In(step.layers[i].bias);
      layer.y = outputs[i];
      layer.pairs = layer.columns % 2 == 0 && IsAligned(layer.y, 8);
    }
    return On(run).Launch(kernel, grid, args);
  };
}

Result<Pooling> TailOf(const MlpConvProblem& p) {
  switch (p.tail) {
    case Tail::kNone:
      break;
    case Tail::kMaxPool:
      return MaxPooling(p.pool);
    case Tail::kAvgPool:
      return AvgPooling(p.pool);
    case Tail::kGlobalAvgPool:
      return GlobalAvgPooling(p.layers.back().output());
  }
  return Pooling();
}

}  // namespace

// y = tail(activation_L(conv_L(... activation_1(conv_1(x)))))
Compiled Compile(const step::MlpConv& step, const CompileContext&) {
  const MlpConvProblem& p = step.problem;
  // No chain's kernel computes a depthwise convolution, which stays a step of its own.
  if (p.layers[0].groups != 1) return std::optional<Kernel>();
  for (const Conv2dProblem& layer : p.layers) NINC_RETURN_IF_ERROR(CheckSize(layer));
  const bool empty = p.layers[0].output().size() == 0;
  const ChainKernel* const chain_kernel = empty ? nullptr : FindChainKernel(p);
  const bool in_one_kernel = chain_kernel != nullptr;
  const Chain chain = in_one_kernel ? InOneKernel(step, *chain_kernel) : LayerByLayer(step);
  NINC_ASSIGN_OR_RETURN(const Pooling tail, TailOf(p));
  Kernel kernel({.shared = BytesOf<Maps>(p, in_one_kernel)}, [=](const Run& run) -> Status {
    const Outputs outputs = OutputsOf(step, in_one_kernel, run);
    NINC_RETURN_IF_ERROR(chain(run, outputs));
    return tail ? tail(On(run), outputs[step.layers.size() - 1], run.Out(step.y)) : Status();
  });
  for (size_t i = 0; i < p.layers.size(); ++i) {
    const Conv2dPass conv(p.layers[i], Pass::kForward);
    AddConvolution(kernel, i, conv, in_one_kernel ? NameOf(*chain_kernel, p) : conv.Name());
  }
  return kernel;
}

}  // namespace ninc::cuda
