// The schedule of a chain. A task takes a unit (one image, or several small ones) through all of
// its layers, a block of pixels at a time: what a layer made of the block is still in L2 when the
// next one reads it, and what nobody asked to keep never leaves it. A pool behind the chain works
// on the unit's map, in L2 too. A plain layer at a time would write and read every map in memory.
//
// Few units (small batches) are not worth a task each. Then layers whose weights are far away, in
// the third-level cache, follow one another, each split among the threads by output channels so
// that a thread reads its share of the weights alone; from where all weights are near, a task takes
// a piece of the map through the rest of the chain, and what it made stays in its own cache. Every
// output is the same sum either way, so the bits are too.
#include "kernels/mlpconv.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/thread_pool.h"
#include "kernels/blocks.h"
#include "kernels/conv2d.h"
#include "kernels/conv2d_block.h"
#include "kernels/conv2d_cost.h"
#include "kernels/conv2d_rows.h"
#include "kernels/conv2d_split.h"
#include "kernels/global_avg_pool.h"
#include "kernels/pool2d.h"
#include "kernels/pool2d_training.h"
#include "kernels/winograd.h"

namespace ninc::cpu {
namespace {

// Tiles a block of Winograd's: its products, its map and the next layers' weights share L2.
constexpr int64_t kChainTiles = 32;
// Weights of this many bytes are near: a core's L2 holds them beside a block.
constexpr size_t kNearBytes = 1 << 20;
// Pieces a thread of a map cut up, at least, and the same number for each: more even out what they
// take, fewer read weights less often.
constexpr int64_t kPiecesPerThread = 2;
// From so many units on every machine gets a task for each thread, and no memory is set aside for
// whole maps between the layers.
constexpr int64_t kManyUnits = 64;

std::array<TileShape, MlpConvProblem::kMaxLayers> ShapesOf(const MlpConvProblem& p) {
  std::array<TileShape, MlpConvProblem::kMaxLayers> shapes{};
  for (size_t i = 0; i < p.layers.size(); ++i) {
    shapes[i] = ProductShape(p.layers[i], Pass::kForward);
  }
  return shapes;
}

// What a layer writes to: its kept map, the tail's or the caller's, else scratch rows.
struct Destination {
  float* map = nullptr;  // row of pixel p at map + (p - first)·channels
  int64_t first = 0;
  float* scratch = nullptr;  // row of the block's pixel m at scratch + m·channels
  int64_t channels = 0;
  float* Row(int64_t m, int64_t pixel) const {
    return map != nullptr ? map + (pixel - first) * channels : scratch + m * channels;
  }
};

// The last layer's map, which begins at pixel `first`: the tail's or the caller's.
struct LastMap {
  float* map;
  int64_t first;
};

class Chain {
 public:
  explicit Chain(const MlpConvProblem& p, const MlpConvTail* training = nullptr)
      : problem_(p),
        training_(training),
        map_(p.layers[0].output()),
        lattice_(MakeLattice(p.layers[0], Pass::kForward, 0)),
        shapes_(ShapesOf(p)),
        panels_(PanelsOf(0)) {
    const WinogradShape shape = ChooseWinograd(p.layers[0], Pass::kForward);
    int64_t images = BlockRows() / std::max<int64_t>(1, map_.h * map_.w);
    if (shape.tile > 0) {
      winograd_.emplace(p.layers[0], shape, kChainTiles);
      const TileGrid& grid = winograd_->grid();
      tile_pixels_ = shape.outputs() * shape.outputs();
      images = kChainTiles / std::max<int64_t>(1, grid.rows * grid.columns);
    }
    images_ = std::clamp<int64_t>(images, 1, std::max<int64_t>(1, map_.n));
    block_pixels_ = std::max(BlockRows(), winograd_ ? winograd_->tiles() * tile_pixels_ : 0);
    for (size_t i = 0; i < p.layers.size(); ++i) {
      widest_ = std::max(widest_, p.layers[i].out_channels);
      const size_t bytes = SplitScratchBytes(1, p.layers[i].input.c, PanelsOf(i));
      if (i > 0) halves_bytes_ = std::max(halves_bytes_, static_cast<int64_t>(bytes));
    }
  }

  int64_t units() const { return CeilDiv(map_.n, images_); }
  bool HasTail() const { return problem_.tail != MlpConvProblem::Tail::kNone; }

  // Tiles or pixels.
  int64_t InImage() const {
    return winograd_ ? winograd_->grid().rows * winograd_->grid().columns : map_.h * map_.w;
  }

  // Of a unit; where these are few, pieces of a map are no larger.
  std::string BlockText() const {
    return winograd_ ? BlockName(EvenBlock(images_ * InImage(), winograd_->tiles()), "tile")
                     : BlockName(EvenBlock(images_ * InImage(), BlockRows()), "pixel");
  }

  size_t ScratchBytes() const {
    // A unit alone goes through in pieces.
    const bool whole = HasTail() && units() > 1;
    const int64_t unit_map = whole ? images_ * map_.h * map_.w * last_channels() : 0;
    return (winograd_ ? Carver::Bytes<std::byte>(winograd_->ScratchBytes())
                      : Carver::Bytes<std::byte>(BlockScratch::Bytes(lattice_, panels_))) +
           Carver::Bytes<std::byte>(halves_bytes_) + Carver::Bytes<int64_t>(block_pixels_) +
           Carver::Bytes<float*>(block_pixels_) + Carver::Bytes<float*>(block_pixels_) +
           Carver::Bytes<float*>(BlockRows()) + Carver::Bytes<float>(block_pixels_ * map_.c) +
           2 * Carver::Bytes<float>(BlockRows() * widest_) + Carver::Bytes<float>(unit_map);
  }

  void RunUnit(int64_t unit, const float* x, const MlpConvLayer* layers, float* y,
               std::byte* memory) const {
    const Scratch scratch(*this, memory);
    const int64_t image0 = unit * images_, image1 = std::min(map_.n, image0 + images_);
    const int64_t pixel0 = image0 * map_.h * map_.w;
    const LastMap last = HasTail() ? LastMap{scratch.unit_map, pixel0} : LastMap{y, 0};
    const int64_t most = winograd_ ? winograd_->tiles() : BlockRows();
    const int64_t first = image0 * InImage(), count = image1 * InImage() - first;
    const int64_t step = EvenBlock(count, most);
    for (int64_t done = 0; done < count; done += step) {
      RunBlock(first + done, std::min(step, count - done), x, layers, last, scratch);
    }
    if (HasTail()) RunTail({image0, image1}, scratch.unit_map, y, 1);
  }

  // The first layer from which on all weights are near; as many as there are where a single layer
  // would be left, which is better split in its own way.
  size_t FirstNear() const {
    size_t layer = problem_.layers.size();
    while (layer > 0 &&
           PackedWeightBytes(problem_.layers[layer - 1], Pass::kForward) <= kNearBytes) {
      --layer;
    }
    return layer == last() ? last() + 1 : layer;
  }

  // All layers from `layer` on, a piece of the map a task. x is the layer's input, `map` all of the
  // last layer's.
  void RunPieces(size_t layer, const float* x, const MlpConvLayer* layers, float* map,
                 const Workspace& workspace) const {
    const bool tiles = layer == 0 && winograd_;
    const int64_t count = tiles ? winograd_->grid().count() : map_.pixels();
    const int64_t most = tiles ? winograd_->tiles() : BlockRows(), rows = Tiles().shape.rows;
    const int64_t each = std::max(kPiecesPerThread, CeilDiv(count, most * workspace.threads()));
    const int64_t pieces = std::min(each * workspace.threads(), CeilDiv(count, rows));
    ParallelFor(workspace.threads(), pieces, [&](int64_t task, int thread) {
      const Scratch scratch(*this, workspace.thread<std::byte>(thread));
      const int64_t first = count * task / pieces, end = count * (task + 1) / pieces;
      if (layer == 0) return RunBlock(first, end - first, x, layers, {map, 0}, scratch);
      const int64_t channels = problem_.layers[layer].input.c;
      for (int64_t m = first; m < end; ++m) {
        scratch.pixels[m - first] = m;
        scratch.outputs[m - first] = const_cast<float*>(x + m * channels);  // read alone
      }
      RunRest(layer, end - first, layers, {map, 0}, scratch);
    });
  }

  // The pool behind the maps of some images; y is that of all.
  void RunTail(Span images, const float* map, float* y, int threads) const {
    if (training_ != nullptr) {
      return TrainingPoolForward(*training_->pool, training_->key, images, map, y, training_->trace,
                                 threads);
    }
    const Shape out = problem_.output();
    Pool2dProblem pool = problem_.pool;
    const int64_t count = pool.input.n = images.end - images.begin;
    y += images.begin * out.h * out.w * out.c;
    switch (problem_.tail) {
      case MlpConvProblem::Tail::kMaxPool:
        return MaxPool2dForward(pool, map, y, threads);
      case MlpConvProblem::Tail::kAvgPool:
        return AvgPool2dForward(pool, map, y, threads);
      case MlpConvProblem::Tail::kGlobalAvgPool:
        return GlobalAvgPool2dForward({count, map_.h, map_.w, last_channels()}, map, y, threads);
      case MlpConvProblem::Tail::kNone:
        return;
    }
  }

 private:
  struct Scratch {
    std::byte* first;   // the first layer's own
    std::byte* halves;  // of the later layers' products
    int64_t* pixels;    // [block_pixels]: which pixel of all a row is
    float** outputs;    // [block_pixels]: where the layer before the rest writes them
    float** tiles;      // [block_pixels]: the same in the order of tiles, null for none
    float** rows;       // [BlockRows]: where a later layer writes
    float* map;         // [block_pixels][channels of the first layer]
    float* between[2];  // [BlockRows][widest]
    float* unit_map;    // [pixels of a unit][channels of the last layer], with a tail

    Scratch(const Chain& chain, std::byte* memory) {
      Carver carver(memory);
      first = carver.Take<std::byte>(static_cast<int64_t>(
          chain.winograd_ ? chain.winograd_->ScratchBytes()
                          : BlockScratch::Bytes(chain.lattice_, chain.panels_)));
      halves = carver.Take<std::byte>(chain.halves_bytes_);
      pixels = carver.Take<int64_t>(chain.block_pixels_);
      outputs = carver.Take<float*>(chain.block_pixels_);
      tiles = carver.Take<float*>(chain.block_pixels_);
      rows = carver.Take<float*>(BlockRows());
      map = carver.Take<float>(chain.block_pixels_ * chain.map_.c);
      for (float*& buffer : between) buffer = carver.Take<float>(BlockRows() * chain.widest_);
      unit_map = carver.Take<float>(0);
    }
  };

  Panels PanelsOf(size_t layer) const {
    return {problem_.layers[layer].out_channels, shapes_[layer]};
  }
  int64_t last_channels() const { return problem_.layers.back().out_channels; }
  size_t last() const { return problem_.layers.size() - 1; }

  Destination DestinationOf(size_t layer, const MlpConvLayer* layers, const LastMap& last_map,
                            const Scratch& scratch) const {
    Destination to{.channels = problem_.layers[layer].out_channels};
    if (layer == last()) {
      to.map = last_map.map;
      to.first = last_map.first;
    } else if (layers[layer].kept != nullptr) {
      to.map = layers[layer].kept;
    } else {
      to.scratch = layer == 0 ? scratch.map : scratch.between[layer % 2];
    }
    return to;
  }

  // One block of tiles or of pixels in a row.
  void RunBlock(int64_t first, int64_t count, const float* x, const MlpConvLayer* layers,
                const LastMap& last_map, const Scratch& scratch) const {
    if (winograd_) {
      RunTiles(first, count, x, layers, last_map, scratch);
    } else {
      RunPixels(first, count, x, layers, last_map, scratch);
    }
  }

  // Pixels through direct convolution, then the rest.
  void RunPixels(int64_t first, int64_t count, const float* x, const MlpConvLayer* layers,
                 const LastMap& last_map, const Scratch& scratch) const {
    const Destination to = DestinationOf(0, layers, last_map, scratch);
    for (int64_t m = 0; m < count; ++m) {
      scratch.pixels[m] = first + m;
      scratch.outputs[m] = to.Row(m, first + m);
    }
    const ProductRows source =
        PrepareRows(lattice_, x, 0, first, count, BlockScratch(lattice_, panels_, scratch.first));
    MultiplyBlock(source, panels_, 0, panels_.count(), layers[0].packed,
                  {layers[0].bias, problem_.activations[0]}, scratch.outputs);
    RunRest(1, count, layers, last_map, scratch);
  }

  // Tiles through Winograd's convolution, then the rest.
  void RunTiles(int64_t first, int64_t count, const float* x, const MlpConvLayer* layers,
                const LastMap& last_map, const Scratch& scratch) const {
    const Destination to = DestinationOf(0, layers, last_map, scratch);
    int64_t pixels = 0, index[kMaxTilePixels];
    float** out = scratch.tiles;
    for (int64_t tile = first; tile < first + count; ++tile) {
      OutputIndices(winograd_->grid(), tile, index);
      for (int64_t i = 0; i < tile_pixels_; ++i, ++out) {
        *out = nullptr;
        if (index[i] < 0) continue;
        *out = to.Row(pixels, index[i]);
        scratch.outputs[pixels] = *out;
        scratch.pixels[pixels++] = index[i];
      }
    }
    winograd_->Run(x, layers[0].packed, layers[0].bias, problem_.activations[0], first, count,
                   scratch.tiles, scratch.first);
    RunRest(1, pixels, layers, last_map, scratch);
  }

  // The 1×1 layers from `first` on; scratch has the rows that the one before it wrote.
  void RunRest(size_t first, int64_t pixels, const MlpConvLayer* layers, const LastMap& last_map,
               const Scratch& scratch) const {
    for (int64_t m0 = 0; m0 < pixels; m0 += BlockRows()) {
      const int64_t count = std::min(BlockRows(), pixels - m0);
      float** rows = scratch.outputs + m0;  // what the last layer wrote
      for (size_t layer = first; layer <= last(); ++layer) {
        const Conv2dProblem& p = problem_.layers[layer];
        const Destination to = DestinationOf(layer, layers, last_map, scratch);
        for (int64_t m = 0; m < count; ++m) {
          scratch.rows[m] = to.Row(m, scratch.pixels[m0 + m]);
        }
        const Panels panels = PanelsOf(layer);
        MultiplyBlock({rows, count, 1, p.input.c, scratch.halves}, panels, 0, panels.count(),
                      layers[layer].packed, {layers[layer].bias, problem_.activations[layer]},
                      scratch.rows);
        std::copy_n(scratch.rows, count, rows);
      }
    }
  }

  const MlpConvProblem& problem_;
  const MlpConvTail* const training_;
  const Shape map_;  // of the first layer, and but for the channels of all
  const TapLattice lattice_;
  const std::array<TileShape, MlpConvProblem::kMaxLayers> shapes_;  // by layer
  const Panels panels_;                                             // of the first layer
  int64_t halves_bytes_ = 0;                                        // of a later layer's products
  std::optional<WinogradBlocks> winograd_;
  int64_t tile_pixels_ = 0;
  int64_t images_ = 1;        // of a unit
  int64_t block_pixels_ = 0;  // what any layer makes at a time, at most
  int64_t widest_ = 0;        // channels
};

// Far layers one after the other, then the rest in pieces. The maps that nobody keeps take turns in
// two buffers.
struct FewUnits {
  FewUnits(const MlpConvProblem& p, const Chain& chain) : near(chain.FirstNear()) {
    int64_t largest = chain.HasTail() ? p.layers.back().output().size() : 0;
    for (size_t i = 0; i < near; ++i) {
      largest = std::max(largest, p.layers[i].output().size());
      size = size.Max(Conv2dWorkspace(p.layers[i], Pass::kForward));
    }
    size.per_thread = std::max(size.per_thread, chain.ScratchBytes());
    map_bytes = WorkspaceSize::Aligned(static_cast<size_t>(largest) * sizeof(float));
  }
  WorkspaceSize Total() const { return {2 * map_bytes + size.shared, size.per_thread}; }

  size_t near;  // the first layer of the pieces
  size_t map_bytes = 0;
  WorkspaceSize size;  // of any one layer
};

void RunFewUnits(const MlpConvProblem& p, const Chain& chain, const float* x,
                 const MlpConvLayer* layers, float* y, const Workspace& workspace) {
  const FewUnits plan(p, chain);
  std::byte* const base = workspace.shared<std::byte>();
  const Workspace inner(base + 2 * plan.map_bytes, {plan.size.shared, workspace.size().per_thread},
                        workspace.threads());
  const size_t last = p.layers.size() - 1;
  const auto map_of = [&](size_t layer, size_t buffer) {
    if (layer == last && !chain.HasTail()) return y;
    if (layers[layer].kept != nullptr) return layers[layer].kept;
    return reinterpret_cast<float*>(base + buffer % 2 * plan.map_bytes);
  };
  for (size_t i = 0; i < plan.near; ++i) {
    float* map = map_of(i, i);
    Conv2dForward(p.layers[i], x, layers[i].packed, layers[i].bias, p.activations[i], map, inner);
    x = map;
  }
  float* const last_map = map_of(last, std::min(plan.near, last));
  if (plan.near <= last) chain.RunPieces(plan.near, x, layers, last_map, inner);
  chain.RunTail({0, p.layers[0].input.n}, last_map, y, workspace.threads());
}

}  // namespace

std::string MlpConvBlock(const MlpConvProblem& p) { return Chain(p).BlockText(); }

WorkspaceSize MlpConvWorkspace(const MlpConvProblem& p) {
  const Chain chain(p);
  WorkspaceSize size{.per_thread = chain.ScratchBytes()};
  return chain.units() < kManyUnits ? size.Max(FewUnits(p, chain).Total()) : size;
}

void MlpConvForward(const MlpConvProblem& p, const float* x, const MlpConvLayer* layers,
                    const MlpConvTail* training, float* y, const Workspace& workspace) {
  if (p.output().size() == 0) return;
  const Chain chain(p, training);
  if (chain.units() < kManyUnits && chain.units() < 2 * workspace.threads()) {
    return RunFewUnits(p, chain, x, layers, y, workspace);
  }
  ParallelFor(workspace.threads(), chain.units(), [&](int64_t unit, int thread) {
    chain.RunUnit(unit, x, layers, y, workspace.thread<std::byte>(thread));
  });
}

}  // namespace ninc::cpu
