// The schedule of a chain. A task takes a unit (one image, or several small ones) through all of
// its layers, a block of pixels at a time: what a layer made of the block is still in L2 when the
// next one reads it, and what nobody asked to keep never leaves it. A pool after the chain works
// on the unit's map, in L2 too. A plain layer at a time would write and read every map in memory.
// Units left over, too few for all threads, are shared out in pieces.
//
// Few units (small batches) are not worth a task each. Then layers whose weights are far away, in
// the third-level cache, follow one another, each split among the threads by output channels so
// that a thread reads its share of the weights alone; from where all weights are near, a task takes
// a piece of the map through the rest of the chain, and what it made stays in its own cache. Every
// output is the same sum either way, so the bits are too.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/threads/cancel.h"
#include "base/carver.h"
#include "base/threads/thread_pool.h"
#include "cpu/compile.h"
#include "cpu/conv2d/conv2d.h"
#include "cpu/conv2d/direct/conv2d_block.h"
#include "cpu/fused/mlpconv_chain.h"
#include "cpu/schedule/blocks.h"
#include "cpu/tile/tile.h"

namespace ninc::cpu {
namespace {

// Weights of this many bytes are near: a core's L2 holds them beside a block.
constexpr size_t kNearBytes = 1 << 20;
// Pieces a thread of a map cut up, at least, and the same number for each: more even out what they
// take, fewer read weights less often.
constexpr int64_t kPiecesPerThread = 2;
// From so many units on every machine gets a task for each thread, and no memory is set aside for
// whole maps between the layers.
constexpr int64_t kManyUnits = 64;

void RunUnit(const MlpConvChain& chain, int64_t unit, const float* x, const MlpConvLayer* layers,
             float* y, std::byte* memory) {
  const Span places = chain.UnitPlaces(unit), images = chain.UnitImages(unit);
  if (!chain.HasTail()) return chain.Run(places, x, layers, {y, 0}, memory);
  float* const map = chain.UnitMap(memory);
  chain.Run(places, x, layers, {map, chain.UnitPixels(unit).begin}, memory);
  if (IsCancelled()) return;  // a unit may be a large picture
  chain.RunTail(images, map, y, 1);
}

// How many of the last units all threads share in pieces: those of a last round that would leave a
// quarter of the threads or more without a unit.
int64_t SharedUnits(int64_t units, int threads) {
  const int64_t left = units % threads;
  return 4 * left <= 3 * threads ? left : 0;
}

// The units from `first` on, fewer than there are threads: the map of unit first + i lies in thread
// i's scratch memory, apart from what its blocks use.
void RunShared(Target target, const MlpConvChain& chain, int64_t first, const float* x,
               const MlpConvLayer* layers, float* y, const Workspace& workspace) {
  const auto memory_of = [&](int64_t thread) {
    return workspace.thread<std::byte>(static_cast<int>(thread));
  };
  const auto last_map = [&](int64_t unit) -> MlpConvChain::LastMap {
    if (!chain.HasTail()) return {y, 0};
    return {chain.UnitMap(memory_of(unit - first)), chain.UnitPixels(unit).begin};
  };
  const int64_t begin = chain.UnitPlaces(first).begin, count = chain.places() - begin;
  const int64_t threads = workspace.threads();
  const int64_t pieces = std::min(threads * CeilDiv(count, threads * chain.block_places()),
                                  CeilDiv(count, int64_t{Tiles(target).shape.rows}));
  ParallelFor(workspace.threads(), pieces, [&](int64_t task, int thread) {
    Span piece{begin + count * task / pieces, begin + count * (task + 1) / pieces};
    while (piece.begin < piece.end) {
      const int64_t unit = chain.UnitOf(piece.begin);
      const int64_t end = std::min(piece.end, chain.UnitPlaces(unit).end);
      chain.Run({piece.begin, end}, x, layers, last_map(unit), memory_of(thread));
      piece.begin = end;
    }
  });
  if (!chain.HasTail()) return;
  for (int64_t unit = first; unit < chain.units(); ++unit) {
    chain.RunTail(chain.UnitImages(unit), last_map(unit).map, y, workspace.threads());
  }
}

// Of few units: the layers before `near` one after the other, then the rest in pieces. The maps
// that nobody keeps take turns in two buffers.
struct FewUnits {
  FewUnits(const MlpConvPlan& plan, const MlpConvChain& chain, Carver& carver)
      : near(FirstNear(plan)) {
    const MlpConvProblem& p = plan.problem;
    int64_t largest = chain.HasTail() ? p.layers.back().output().size() : 0;
    for (size_t i = 0; i < near; ++i) {
      largest = std::max(largest, p.layers[i].output().size());
      size = size.Max(Conv2dWorkspace(plan.layers[i]));
    }
    size.per_thread = std::max(size.per_thread, chain.ScratchBytes());
    for (float*& map : maps) map = carver.Take(largest);
    layer = carver.Take<std::byte>(size.shared);
  }

  // The first layer from which on all weights are near; as many as there are where a single layer
  // would be left, which is better split in its own way.
  static size_t FirstNear(const MlpConvPlan& plan) {
    size_t layer = plan.layers.size();
    while (layer > 0 && PackedWeightBytes(plan.layers[layer - 1]) <= kNearBytes) {
      --layer;
    }
    return layer + 1 == plan.layers.size() ? layer + 1 : layer;
  }

  size_t near;         // the first layer of the pieces
  WorkspaceSize size;  // of any one layer
  float* maps[2];
  std::byte* layer;  // any one layer's
};

// All layers from `layer` on, a piece of the map a task. x is the layer's input, `map` all of the
// last layer's.
void RunPieces(Target target, const MlpConvChain& chain, size_t layer, const float* x,
               const MlpConvLayer* layers, float* map, const Workspace& workspace) {
  const int64_t count = layer == 0 ? chain.places() : chain.pixels();
  const int64_t most = layer == 0 ? chain.block_places() : BlockRows(target);
  const int64_t each = std::max(kPiecesPerThread, CeilDiv(count, most * workspace.threads()));
  const int64_t pieces =
      std::min(each * workspace.threads(), CeilDiv(count, int64_t{Tiles(target).shape.rows}));
  ParallelFor(workspace.threads(), pieces, [&](int64_t task, int thread) {
    const Span piece{count * task / pieces, count * (task + 1) / pieces};
    std::byte* const memory = workspace.thread<std::byte>(thread);
    if (layer == 0) return chain.Run(piece, x, layers, {map, 0}, memory);
    chain.RunFrom(layer, piece, x, layers, {map, 0}, memory);
  });
}

void RunFewUnits(const MlpConvPlan& plan, const MlpConvChain& chain, const float* x,
                 const MlpConvLayer* layers, float* y, const Workspace& workspace) {
  const MlpConvProblem& p = plan.problem;
  Carver carver(workspace.shared());
  const FewUnits few(plan, chain, carver);
  const Workspace inner(few.layer, {few.size.shared, workspace.size().per_thread},
                        workspace.threads());
  const size_t last = p.layers.size() - 1;
  const auto map_of = [&](size_t layer, size_t buffer) {
    if (layer == last && !chain.HasTail()) return y;
    if (layers[layer].kept != nullptr) return layers[layer].kept;
    return few.maps[buffer % 2];
  };
  for (size_t i = 0; i < few.near; ++i) {
    float* map = map_of(i, i);
    Conv2dForward(plan.layers[i], x, layers[i].packed, layers[i].bias, p.activations[i], map,
                  inner);
    x = map;
  }
  float* const last_map = map_of(last, std::min(few.near, last));
  if (few.near <= last) RunPieces(plan.target, chain, few.near, x, layers, last_map, inner);
  chain.RunTail({0, p.layers[0].input.n}, last_map, y, workspace.threads());
}

WorkspaceSize ScratchOf(const MlpConvPlan& plan) {
  const MlpConvChain chain(plan);
  if (chain.units() >= kManyUnits) return {.per_thread = chain.ScratchBytes()};
  Carver carver;
  const FewUnits few(plan, chain, carver);
  return {carver.bytes(), few.size.per_thread};
}

// layers: one for each of the plan's. y: the tail's output, or the last layer's. training: null, or
// what makes a training step's pool of the tail.
void RunChain(const MlpConvPlan& plan, const float* x, const MlpConvLayer* layers,
              const MlpConvTail* training, float* y, const Workspace& workspace) {
  if (plan.problem.output().size() == 0) return;
  const MlpConvChain chain(plan, training);
  const int64_t units = chain.units();
  if (units < kManyUnits && units < 2 * workspace.threads()) {
    return RunFewUnits(plan, chain, x, layers, y, workspace);
  }
  const int64_t shared = SharedUnits(units, workspace.threads());
  ParallelFor(workspace.threads(), units - shared, [&](int64_t unit, int thread) {
    RunUnit(chain, unit, x, layers, y, workspace.thread<std::byte>(thread));
  });
  if (shared > 0) RunShared(plan.target, chain, units - shared, x, layers, y, workspace);
}

}  // namespace

// y = tail(activation_L(conv_L(... activation_1(conv_1(x))))): the same bits as the layers one
// after another.
Compiled Compile(const step::MlpConv& step, const CompileContext& context) {
  const MlpConvPlan plan(context.target, step.problem);
  Kernel kernel(ScratchOf(plan), [step, plan](const Run& run) {
    std::array<MlpConvLayer, MlpConvProblem::kMaxLayers> layers;
    for (size_t i = 0; i < step.layers.size(); ++i) {
      const step::MlpConv::Layer& layer = step.layers[i];
      layers[i] = {run.In(layer.packed), run.In(layer.bias),
                   layer.kept ? run.Out(layer.y) : nullptr};
    }
    const MlpConvTail training{step.training ? &*step.training : nullptr, run.Key(),
                               run.Bytes(step.trace)};
    RunChain(plan, run.In(step.x), layers.data(), step.training ? &training : nullptr,
             run.Out(step.y), run.scratch());
  });
  std::string block = MlpConvChain(plan).BlockText();  // later layers go through the first one's
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    AddConvolution(kernel, i, plan.layers[i], std::exchange(block, {}));
  }
  return kernel;
}

}  // namespace ninc::cpu
