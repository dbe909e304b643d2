// The mlpconv's host side: chains whose layers have at most 192 channels run in one kernel, wider
// ones layer by layer, as their maps do not fit into shared memory.
#include "cuda/conv2d/mlpconv.h"

#include <algorithm>

#include "base/carver.h"
#include "cuda/common/operations.h"
#include "cuda/conv2d/conv2d_shape.h"

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

bool HasTail(const MlpConvProblem& p) { return p.tail != MlpConvProblem::Tail::kNone; }

// Maps that nobody keeps. Layer by layer they take turns in two places; one kernel writes the last
// one alone, for the tail.
struct Maps {
  Maps(const MlpConvProblem& p, Carver& carver) {
    if (FindChainKernel(p) != nullptr) {
      places[0] = places[1] = carver.Take(HasTail(p) ? p.layers.back().output().size() : 0);
      return;
    }
    int64_t largest = 0;
    for (const Conv2dProblem& layer : p.layers) largest = std::max(largest, layer.output().size());
    for (float*& place : places) place = carver.Take(largest);
  }
  float* Of(size_t layer) const { return places[layer % 2]; }

  float* places[2];
};

Status RunLayers(Stream& stream, const MlpConvProblem& p, const float* x,
                 const MlpConvLayer* layers, float* last, const Maps& maps) {
  for (size_t i = 0; i < p.layers.size(); ++i) {
    float* const to = i + 1 == p.layers.size()    ? last
                      : layers[i].kept != nullptr ? layers[i].kept
                                                  : maps.Of(i);
    NINC_RETURN_IF_ERROR(Conv2dForward(stream, p.layers[i], x, layers[i].packed, layers[i].bias,
                                       p.activations[i], to));
    x = to;
  }
  return Status();
}

Status RunChain(Stream& stream, const ChainKernel& chain, const MlpConvProblem& p, const float* x,
                const MlpConvLayer* layers, float* last) {
  for (const Conv2dProblem& layer : p.layers) NINC_RETURN_IF_ERROR(CheckSize(layer));
  MlpConvArgs args{};
  args.gather = MakeGather(p.layers[0], Pass::kForward, x);
  args.layers = static_cast<int32_t>(p.layers.size());
  for (size_t i = 0; i < p.layers.size(); ++i) {
    const ProductShape shape = ShapeOf(p.layers[i], Pass::kForward);
    ChainLayer& layer = args.layer[i];
    layer.packed = layers[i].packed;
    layer.bias = layers[i].bias;
    layer.y = i + 1 == p.layers.size() ? last : layers[i].kept;
    layer.limits = MakeLimits(p.activations[i]);
    layer.columns = static_cast<int32_t>(shape.columns);
    layer.packed_columns = static_cast<int32_t>(shape.packed_columns());
    layer.steps = static_cast<int32_t>(shape.steps());
    layer.pairs = shape.columns % 2 == 0 && IsAligned(layer.y, 8);
  }
  Grid grid;
  grid.x = static_cast<uint32_t>(CeilDiv(args.gather.rows, chain.rows));
  grid.threads = kThreads;
  grid.shared_bytes = chain.shared_bytes;
  return stream.Launch(chain.kernels[PrecisionIndex(p.layers[0].method)], grid, args);
}

}  // namespace

WorkspaceSize MlpConvWorkspace(const MlpConvProblem& p) { return {.shared = BytesOf<Maps>(p)}; }

Status MlpConvForward(Stream& stream, const MlpConvProblem& p, const float* x,
                      const MlpConvLayer* layers, float* y, const Workspace& workspace,
                      const float** map) {
  const ChainKernel* chain = FindChainKernel(p);
  Carver carver(workspace.shared());
  const Maps maps(p, carver);
  const size_t last_layer = p.layers.size() - 1;
  float* last = HasTail(p) ? layers[last_layer].kept : y;
  if (last == nullptr) last = maps.Of(last_layer);
  *map = last;
  if (p.layers[0].output().size() == 0) return Status();
  if (chain == nullptr) return RunLayers(stream, p, x, layers, last, maps);
  return RunChain(stream, *chain, p, x, layers, last);
}

}  // namespace ninc::cuda
