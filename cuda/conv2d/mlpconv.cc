// The mlpconv's host side: chains whose layers have at most 192 channels run in one kernel, wider
// ones layer by layer, as their maps do not fit into shared memory.
#include "cuda/conv2d/mlpconv.h"

#include <algorithm>

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

size_t MapBytes(const Conv2dProblem& layer) {
  return WorkspaceSize::Aligned(static_cast<size_t>(layer.output().size()) * sizeof(float));
}

// What layer by layer needs of each of two maps in turn.
size_t LargestMap(const MlpConvProblem& p) {
  size_t largest = 0;
  for (const Conv2dProblem& layer : p.layers) largest = std::max(largest, MapBytes(layer));
  return largest;
}

Status RunLayers(Stream& stream, const MlpConvProblem& p, const float* x,
                 const MlpConvLayer* layers, float* last, const Workspace& workspace) {
  const size_t map_bytes = LargestMap(p);
  for (size_t i = 0; i < p.layers.size(); ++i) {
    float* to = layers[i].kept;
    if (to == nullptr)
      to = reinterpret_cast<float*>(workspace.shared<std::byte>() + i % 2 * map_bytes);
    if (i + 1 == p.layers.size()) to = last;
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

WorkspaceSize MlpConvWorkspace(const MlpConvProblem& p) {
  if (FindChainKernel(p) == nullptr) return {.shared = 2 * LargestMap(p)};
  return {.shared = HasTail(p) ? MapBytes(p.layers.back()) : 0};
}

Status MlpConvForward(Stream& stream, const MlpConvProblem& p, const float* x,
                      const MlpConvLayer* layers, float* y, const Workspace& workspace,
                      const float** map) {
  const ChainKernel* chain = FindChainKernel(p);
  const size_t last_layer = p.layers.size() - 1;
  float* last = y;
  if (HasTail(p)) {
    last = layers[last_layer].kept;
    // Layer by layer, the maps take turns.
    const size_t offset = chain == nullptr ? last_layer % 2 * LargestMap(p) : 0;
    if (last == nullptr) {
      last = reinterpret_cast<float*>(workspace.shared<std::byte>() + offset);
    }
  }
  *map = last;
  if (p.layers[0].output().size() == 0) return Status();
  if (chain == nullptr) return RunLayers(stream, p, x, layers, last, workspace);
  return RunChain(stream, *chain, p, x, layers, last);
}

}  // namespace ninc::cuda
