// The gradients of 1×1 layers in a row, in one walk over the pixels. A block of pixels of dy meets
// a layer's x while both are in L2: they give the block's share of dw and its dx, which is the next
// layer's dy and never leaves the cache. One by one, a layer reads x and dy twice each and writes
// dx; at large batches that is memory's speed, not the multiply-adds': cccp1 and cccp2 of NIN-CIFAR
// at batch 128 take 77 ms so and 95 ms one by one.
//
// Between two batch norms a layer's blocks are made of what these read. The later one's gradient dz
// is made of the gradient g of its result and of what it normalised; x is made of what the earlier
// one normalises. dx, masked, is the gradient of the earlier one's result, and that one's sums are
// taken while dx is in L2. So a batch norm costs one more reading of what it normalised each way.
//
// A task is a chunk of the pixels with sums of its own, as many as the shapes give, added in order
// afterwards: the bits do not depend on the threads.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/threads/cancel.h"
#include "base/carver.h"
#include "base/threads/thread_pool.h"
#include "cpu/compile.h"
#include "cpu/conv2d/conv2d.h"
#include "cpu/conv2d/direct/conv2d_block.h"
#include "cpu/conv2d/direct/conv2d_pack.h"
#include "cpu/conv2d/direct/conv2d_split.h"
#include "cpu/conv2d/direct/conv2d_weight_gradient.h"
#include "cpu/norm/batch_norm.h"
#include "cpu/norm/norm_rows.h"
#include "cpu/schedule/blocks.h"
#include "cpu/schedule/fetch.h"
#include "cpu/tile/split_tile.h"
#include "cpu/tile/tile.h"

namespace ninc::cpu {
namespace {

// Each chunk has sums of its own in memory.
constexpr int64_t kMostChunks = 32;
// Chunks that keep a few threads busy evenly.
constexpr int64_t kFewestChunks = 16;
// Between two batch norms a walk is worth it with fewer pixels, since it does their work as well:
// the chunks are shorter there, of this many pixels at least.
constexpr int64_t kNormChunkPixels = 192;
static_assert(16 * kMaxTileRows <= kNormChunkPixels, "each chunk has a block of pixels");
// A chunk's sums stay in L2 beside its blocks.
constexpr int64_t kMostSumBytes = 256 << 10;

int64_t Chunks(int64_t pixels, bool norms) {
  return std::clamp<int64_t>(pixels / (norms ? kNormChunkPixels : kChunkPixels), 1, kMostChunks);
}

// The layers, the network's last first, with what was chosen for both gradients of each.
struct PointwisePlan {
  PointwisePlan(Target target, const std::vector<Conv2dProblem>& problems, bool norms)
      : target(target), norms(norms) {
    for (const Conv2dProblem& problem : problems) {
      weights.emplace_back(target, problem, Pass::kBackwardWeights);
      data.emplace_back(target, problem, Pass::kBackwardData);
    }
  }

  Target target;
  bool norms;  // one layer between two batch norms
  std::vector<Conv2dPass> weights, data;
};

// One layer's arrays.
struct PointwiseGradient {
  const float* x = nullptr;
  const float* packed = nullptr;  // for kBackwardData
  Activation activation = {};     // that gave x: dx = 0 where x is at one of its limits
  float* dweight = nullptr;
  float* dbias = nullptr;  // or null
};

// The batch norms around a layer.
struct PointwiseNorms {
  NormGradient after;   // dy is the gradient of its y, whose sums are there
  NormGradient before;  // whose z the layer's x is made of: its sums are written
};

// One layer: dw's columns are output channels, dx's are input channels.
struct Layer {
  Layer(const Conv2dPass& weights, const Conv2dPass& data)
      : in(weights.problem.input.c),
        out(weights.problem.out_channels),
        weight_panels(out, weights.tile),
        data_panels(in, data.tile) {}
  // Floats of a chunk: dw as panel → input channel → column, then the bias's sums.
  int64_t sums() const { return (in + 1) * weight_panels.padded_columns(); }
  int64_t bias() const { return in * weight_panels.padded_columns(); }

  int64_t in, out;
  Panels weight_panels, data_panels;
};

struct GradientWalk {
  explicit GradientWalk(const PointwisePlan& plan)
      : plan(plan),
        target(plan.target),
        pixels(plan.weights[0].problem.output().pixels()),
        chunks(Chunks(pixels, plan.norms)) {
    for (size_t i = 0; i < size(); ++i) {
      layers[i].emplace(plan.weights[i], plan.data[i]);
      offsets[i] = floats;
      floats += layer(i).sums();
      widest = std::max(widest, layer(i).in);
      const size_t bytes = SplitScratchBytes(target, 1, layer(i).out, layer(i).data_panels);
      halves_bytes = std::max(halves_bytes, static_cast<int64_t>(bytes));
      if (!layer(i).weight_panels.shape().split) continue;
      columns_bytes = std::max(columns_bytes, SplitBytes(layer(i).in, BlockRows(target)));
    }
    norm_sums = floats;
    floats += 2 * layer(size() - 1).in;
  }
  size_t size() const { return plan.weights.size(); }
  const Layer& layer(size_t i) const { return *layers[i]; }

  const PointwisePlan& plan;
  const Target target;
  std::array<std::optional<Layer>, MlpConvProblem::kMaxLayers> layers;
  // Of a layer's sums in a chunk. No vector: a run allocates nothing.
  std::array<int64_t, MlpConvProblem::kMaxLayers> offsets{};
  int64_t norm_sums = 0;  // the offset of those of the batch norm before
  int64_t floats = 0;     // of a chunk
  int64_t pixels, chunks, widest = 0;
  int64_t columns_bytes = 0, halves_bytes = 0;
};

struct WalkScratch {
  WalkScratch(const GradientWalk& walk, Carver& carver) {
    const int64_t rows = BlockRows(walk.target);
    x = carver.Take<const float*>(rows);
    dy = carver.Take<const float*>(rows);
    dx = carver.Take<float*>(rows);
    packed = carver.Take(rows * std::max(Tiles(walk.target).shape.width(), SplitShape().width()));
    columns = carver.Take<std::byte>(walk.columns_bytes);
    halves = carver.Take<std::byte>(walk.halves_bytes);
    for (float*& buffer : between) buffer = carver.Take(rows * walk.widest);
    normal = carver.Take(rows * walk.widest);
    gradient = carver.Take(rows * walk.layer(0).out);
  }

  const float** x;     // [BlockRows]: rows of a layer's x
  const float** dy;    // the same of its dy
  float** dx;          // the same of its dx
  float* packed;       // [BlockRows][width of a panel] of dy, or a split one
  std::byte* columns;  // of x, of a split weight gradient
  std::byte* halves;   // of a split data gradient
  float* between[2];   // [BlockRows][widest]: what one layer gives the next
  float* gradient;     // [BlockRows][out of the first]: dz of the batch norm after it
  float* normal;       // [BlockRows][widest]: x, made by the batch norm before
};

// What all threads share.
struct WalkSums {
  WalkSums(const GradientWalk& walk, Carver& carver) {
    chunks = carver.Take(walk.chunks * walk.floats);
    factors = carver.Take(2 * walk.layer(0).out);
  }
  float* chunks;   // [chunk][floats]
  float* factors;  // [offset, slope][out of the first]
};

void AddSplitWeights(const Layer& layer, const float* dy, int64_t pixels, bool first, float* sums,
                     Fetch* fetch, const WalkScratch& scratch) {
  const Panels& panels = layer.weight_panels;
  std::byte* const right = reinterpret_cast<std::byte*>(scratch.packed);
  const SplitTiles tiles;
  SplitLeftColumns(scratch.x, 0, layer.in, pixels, SplitBytes(kSplitRows, pixels), scratch.columns);
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    const int64_t column = panels.Column(panel);
    SplitRight(dy + column, layer.out, pixels, panels.Columns(panel), panels.Vectors(panel), right,
               sums + layer.bias() + column);
    AddSplitToPanel(scratch.columns, layer.in, pixels, right, panels.Vectors(panel), first,
                    sums + layer.in * column, fetch);
  }
}

// sums(c, k) += sum over the block's pixels m of x(m, c) * dy(m, k), and the bias's.
void AddWeights(Target target, const Layer& layer, const float* dy, int64_t pixels, bool first,
                float* sums, Fetch* fetch, const WalkScratch& scratch) {
  const TileKernels& kernels = Tiles(target);
  const Panels& panels = layer.weight_panels;
  if (panels.shape().split) {
    return AddSplitWeights(layer, dy, pixels, first, sums, fetch, scratch);
  }
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    const int vectors = panels.Vectors(panel);
    const int64_t column = panels.Column(panel);
    kernels.pack[vectors - 1](dy + column, layer.out, pixels, panels.Columns(panel), scratch.packed,
                              sums + layer.bias() + column);
    AddToPanel(kernels, scratch.x, {0, layer.in}, pixels, scratch.packed, vectors, first,
               sums + layer.in * column, fetch);
  }
}

// The batch norms around a layer, and the factors of the gradient of the one after it.
struct Norms {
  const PointwiseNorms& around;
  const float* offset;
  const float* slope;
};

void RunChunk(const GradientWalk& walk, int64_t chunk, const float* dy,
              const PointwiseGradient* layers, const Norms* norms, float* dx, float* sums,
              const WalkScratch& scratch) {
  const Target target = walk.target;
  const int64_t blocks = CeilDiv(walk.pixels, BlockRows(target));
  const int64_t block0 = blocks * chunk / walk.chunks, block1 = blocks * (chunk + 1) / walk.chunks;
  for (size_t i = 0; i < walk.size(); ++i) {
    const Layer& layer = walk.layer(i);
    std::fill_n(sums + walk.offsets[i] + layer.bias(), layer.sums() - layer.bias(), 0.0f);
  }
  std::fill(sums + walk.norm_sums, sums + walk.floats, 0.0f);
  for (int64_t block = block0; block < block1 && !IsCancelled(); ++block) {
    const int64_t first = block * BlockRows(target);
    const int64_t count = std::min(BlockRows(target), walk.pixels - first);
    const int64_t next =
        block + 1 < block1 ? std::min(BlockRows(target), walk.pixels - first - count) : 0;
    const float* from = dy + first * walk.layer(0).out;
    for (size_t i = 0; i < walk.size(); ++i) {
      const Layer& layer = walk.layer(i);
      const float* const z = layers[i].x + first * layer.in;
      const float* const g = from;
      const float* x = z;
      const float* normalised = nullptr;  // by the batch norm after the layer
      if (norms != nullptr) {
        const NormGradient& norm = norms->around.after;
        normalised = norm.z + first * layer.out;
        InputGradientRows(target, norm.norm, {count, layer.out, g, normalised}, norms->offset,
                          norms->slope, scratch.gradient);
        NormalizeRows(target, norms->around.before.norm, count, layer.in, z, scratch.normal);
        from = scratch.gradient;
        x = scratch.normal;
      }
      const bool last = i + 1 == walk.size();
      float* to = last ? dx + first * layer.in : scratch.between[i % 2];
      for (int64_t m = 0; m < count; ++m) {
        scratch.x[m] = x + m * layer.in;
        scratch.dy[m] = from + m * layer.out;
        scratch.dx[m] = to + m * layer.in;
      }
      const int64_t next_out = i == 0 ? next * layer.out : 0;
      Fetch::Part next_normalised;
      if (normalised != nullptr) next_normalised = {normalised + count * layer.out, next_out};
      Fetch fetch({{{z + count * layer.in, next * layer.in},
                    {g + count * layer.out, next_out},
                    next_normalised}},
                  layer.weight_panels.Tiles(0, layer.weight_panels.count(), layer.in),
                  layer.weight_panels.shape().split ? kAnyLines : BlockRows(target) / 2);
      AddWeights(target, layer, from, count, block == block0, sums + walk.offsets[i], &fetch,
                 scratch);
      const bool masked = layers[i].activation != Activation{};
      MultiplyBlock(target, {scratch.dy, count, 1, layer.out, scratch.halves}, layer.data_panels, 0,
                    layer.data_panels.count(), layers[i].packed,
                    {.activation = layers[i].activation, .x = masked ? x : nullptr, .dx = to},
                    scratch.dx);
      if (norms != nullptr) {
        Normalization unmasked = norms->around.before.norm;
        unmasked.activation = {};
        AddGradientSums(target, unmasked, {count, layer.in, to, z}, sums + walk.norm_sums);
      }
      from = to;
    }
  }
}

// One panel of one layer: the chunks' sums to dweight(k, c).
void StorePanel(const GradientWalk& walk, size_t index, int64_t panel, const float* sums,
                const PointwiseGradient& gradient) {
  const Layer& layer = walk.layer(index);
  const Panels& panels = layer.weight_panels;
  const int64_t width = panels.Width(panel), column = panels.Column(panel);
  float total[kMaxTileVectors * kMaxLanes];
  const auto add = [&](const float* from) {
    std::copy_n(from, width, total);
    for (int64_t chunk = 1; chunk < walk.chunks; ++chunk) {
      for (int64_t j = 0; j < width; ++j) total[j] += from[chunk * walk.floats + j];
    }
  };
  sums += walk.offsets[index];
  for (int64_t c = 0; c < layer.in; ++c) {
    add(sums + layer.in * column + c * width);
    for (int64_t j = 0; j < panels.Columns(panel); ++j) {
      gradient.dweight[(column + j) * layer.in + c] = total[j];
    }
  }
  if (gradient.dbias == nullptr) return;
  add(sums + layer.bias() + column);
  std::copy_n(total, panels.Columns(panel), gradient.dbias + column);
}

// Whether a layer's gradients are worth computing so: its sums are small beside the pixels.
bool IsWorthIt(const Layer& layer, const Conv2dProblem& p, bool norms) {
  return p.IsPointwise() && p.groups == 1 &&
         layer.sums() * int64_t{sizeof(float)} <= kMostSumBytes &&
         Chunks(p.output().pixels(), norms) >= kFewestChunks;
}

// The weights' gradients may differ in the last digits from those of layers one by one. norms: null
// but for one layer between two batch norms.
void RunChunks(const PointwisePlan& plan, const float* dy, const PointwiseGradient* layers,
               const PointwiseNorms* norms, float* dx, const Workspace& workspace) {
  const GradientWalk walk(plan);
  Carver carver(workspace.shared());
  const WalkSums sums(walk, carver);
  float* const offset = sums.factors;
  float* const slope = offset + walk.layer(0).out;
  std::optional<Norms> around;
  if (norms != nullptr) {
    const NormGradient& after = norms->after;
    InputGradientFactors(walk.pixels, walk.layer(0).out, after.inv_std, after.dweight, after.dbias,
                         offset, slope);
    around.emplace(Norms{*norms, offset, slope});
  }
  ParallelFor(workspace.threads(), walk.chunks, [&](int64_t chunk, int thread) {
    Carver carver(workspace.thread(thread));
    RunChunk(walk, chunk, dy, layers, around ? &*around : nullptr, dx,
             sums.chunks + chunk * walk.floats, WalkScratch(walk, carver));
  });
  for (size_t i = 0; i < walk.size(); ++i) {
    ParallelFor(workspace.threads(), walk.layer(i).weight_panels.count(),
                [&](int64_t panel, int) { StorePanel(walk, i, panel, sums.chunks, layers[i]); });
  }
  if (norms == nullptr) return;
  const NormGradient& before = norms->before;
  StoreGradientSums(walk.chunks, sums.chunks + walk.norm_sums, walk.floats,
                    walk.layer(walk.size() - 1).in, before.inv_std, before.dweight, before.dbias);
}

}  // namespace

Compiled Compile(const step::PointwiseBackward& step, const CompileContext& context) {
  const PointwisePlan plan(context.target, step.problems, step.norms.has_value());
  for (size_t i = 0; i < plan.data.size(); ++i) {
    if (!IsWorthIt(Layer(plan.weights[i], plan.data[i]), step.problems[i], plan.norms)) {
      return std::optional<Kernel>();
    }
  }
  const GradientWalk walk(plan);
  const WorkspaceSize scratch{BytesOf<WalkSums>(walk), BytesOf<WalkScratch>(walk)};
  Kernel kernel(scratch, [step, plan](const Run& run) {
    std::array<PointwiseGradient, MlpConvProblem::kMaxLayers> layers;
    for (size_t i = 0; i < step.layers.size(); ++i) {
      const step::PointwiseBackward::Layer& layer = step.layers[i];
      layers[i] = {run.In(layer.x), run.In(layer.packed), layer.activation, run.Out(layer.dweight),
                   run.Out(layer.dbias)};
    }
    PointwiseNorms norms;
    if (step.norms) {
      norms = {ArraysOf(step.norms->after, run), ArraysOf(step.norms->before, run)};
    }
    RunChunks(plan, run.In(step.dy), layers.data(), step.norms ? &norms : nullptr, run.Out(step.dx),
              run.scratch());
  });
  for (size_t i = 0; i < plan.data.size(); ++i) {
    // Both gradients in one walk over blocks as large as a data gradient's.
    const std::string block = Conv2dBlock(plan.data[i]);
    AddConvolution(kernel, i, plan.weights[i], block);
    AddConvolution(kernel, i, plan.data[i], block);
  }
  return kernel;
}

}  // namespace ninc::cpu
