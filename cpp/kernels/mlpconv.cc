// The schedule of a chain. A task takes a unit (one image, or several small ones) through all of
// its layers, a block of pixels at a time: what a layer made of the block is still in L2 when the
// next one reads it, and what nobody asked to keep never leaves it. A pool behind the chain works
// on the unit's map, in L2 too. A plain layer at a time would write and read every map in memory.
//
// Few units (small batches) are not worth a task each: then layer follows layer, each split among
// the threads in its own way. Every output is the same sum either way, so the bits are too.
#include "kernels/mlpconv.h"

#include <algorithm>
#include <optional>

#include "base/thread_pool.h"
#include "kernels/blocks.h"
#include "kernels/conv2d.h"
#include "kernels/conv2d_block.h"
#include "kernels/conv2d_cost.h"
#include "kernels/conv2d_rows.h"
#include "kernels/global_avg_pool.h"
#include "kernels/pool2d.h"
#include "kernels/winograd.h"

namespace ninc::cpu {
namespace {

// Tiles a block of Winograd's: its products, its map and the next layers' weights share L2.
constexpr int64_t kChainTiles = 48;
// From so many units on every machine gets a task for each thread, and no memory is set aside for
// whole maps between the layers.
constexpr int64_t kManyUnits = 64;

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

class Chain {
 public:
  explicit Chain(const MlpConvProblem& p)
      : problem_(p),
        map_(p.layers[0].output()),
        lattice_(MakeLattice(p.layers[0], Pass::kForward, 0)) {
    const WinogradShape shape = ChooseWinograd(p.layers[0], Pass::kForward);
    int64_t images = BlockRows() / std::max<int64_t>(1, map_.h * map_.w);
    if (shape.tile > 0) {
      winograd_.emplace(p.layers[0], shape, kChainTiles);
      const TileGrid& grid = winograd_->grid();
      tile_pixels_ = shape.outputs() * shape.outputs();
      images = kChainTiles / std::max<int64_t>(1, grid.rows * grid.columns);
    }
    images_ = std::clamp<int64_t>(images, 1, std::max<int64_t>(1, map_.n));
    block_pixels_ = winograd_ ? winograd_->tiles() * tile_pixels_ : BlockRows();
    for (const Conv2dProblem& layer : p.layers) widest_ = std::max(widest_, layer.out_channels);
  }

  int64_t units() const { return CeilDiv(map_.n, images_); }
  bool HasTail() const { return problem_.tail != MlpConvProblem::Tail::kNone; }

  size_t ScratchBytes() const {
    const int64_t unit_map = HasTail() ? images_ * map_.h * map_.w * last_channels() : 0;
    return (winograd_ ? Carver::Bytes<std::byte>(winograd_->ScratchBytes())
                      : Carver::Bytes<std::byte>(BlockScratch::Bytes(lattice_))) +
           Carver::Bytes<int64_t>(block_pixels_) + Carver::Bytes<float*>(block_pixels_) +
           Carver::Bytes<float*>(block_pixels_) + Carver::Bytes<float*>(BlockRows()) +
           Carver::Bytes<float>(block_pixels_ * map_.c) +
           2 * Carver::Bytes<float>(BlockRows() * widest_) + Carver::Bytes<float>(unit_map);
  }

  void RunUnit(int64_t unit, const float* x, const MlpConvLayer* layers, float* y,
               std::byte* memory) const {
    const Scratch scratch(*this, memory);
    const int64_t image0 = unit * images_, image1 = std::min(map_.n, image0 + images_);
    const int64_t pixel0 = image0 * map_.h * map_.w, pixel1 = image1 * map_.h * map_.w;
    if (winograd_) {
      const int64_t tiles = winograd_->grid().rows * winograd_->grid().columns;
      for (int64_t tile = image0 * tiles; tile < image1 * tiles; tile += winograd_->tiles()) {
        const int64_t count = std::min(winograd_->tiles(), image1 * tiles - tile);
        RunTiles(tile, count, x, layers, y, pixel0, scratch);
      }
    } else {
      for (int64_t pixel = pixel0; pixel < pixel1; pixel += block_pixels_) {
        const int64_t count = std::min(block_pixels_, pixel1 - pixel);
        RunPixels(pixel, count, x, layers, y, pixel0, scratch);
      }
    }
    if (HasTail()) {
      const Shape out = problem_.output();
      RunTail(image1 - image0, scratch.unit_map, y + image0 * out.h * out.w * out.c, 1);
    }
  }

  // The pool behind `images` maps.
  void RunTail(int64_t images, const float* map, float* y, int threads) const {
    Pool2dProblem pool = problem_.pool;
    pool.input.n = images;
    switch (problem_.tail) {
      case MlpConvProblem::Tail::kMaxPool:
        return MaxPool2dForward(pool, map, y, threads);
      case MlpConvProblem::Tail::kAvgPool:
        return AvgPool2dForward(pool, map, y, threads);
      case MlpConvProblem::Tail::kGlobalAvgPool:
        return GlobalAvgPool2dForward({images, map_.h, map_.w, last_channels()}, map, y, threads);
      case MlpConvProblem::Tail::kNone:
        return;
    }
  }

 private:
  struct Scratch {
    std::byte* first;   // the first layer's own
    int64_t* pixels;    // [block_pixels]: which pixel of all a row is
    float** outputs;    // [block_pixels]: where the first layer writes them
    float** tiles;      // [block_pixels]: the same in the order of tiles, null for none
    float** rows;       // [BlockRows]: where a later layer writes
    float* map;         // [block_pixels][channels of the first layer]
    float* between[2];  // [BlockRows][widest]
    float* unit_map;    // [pixels of a unit][channels of the last layer], with a tail

    Scratch(const Chain& chain, std::byte* memory) {
      Carver carver(memory);
      first = carver.Take<std::byte>(static_cast<int64_t>(
          chain.winograd_ ? chain.winograd_->ScratchBytes() : BlockScratch::Bytes(chain.lattice_)));
      pixels = carver.Take<int64_t>(chain.block_pixels_);
      outputs = carver.Take<float*>(chain.block_pixels_);
      tiles = carver.Take<float*>(chain.block_pixels_);
      rows = carver.Take<float*>(BlockRows());
      map = carver.Take<float>(chain.block_pixels_ * chain.map_.c);
      for (float*& buffer : between) buffer = carver.Take<float>(BlockRows() * chain.widest_);
      unit_map = carver.Take<float>(0);
    }
  };

  int64_t last_channels() const { return problem_.layers.back().out_channels; }
  size_t last() const { return problem_.layers.size() - 1; }

  Destination DestinationOf(size_t layer, const MlpConvLayer* layers, float* y, int64_t pixel0,
                            const Scratch& scratch) const {
    Destination to{.channels = problem_.layers[layer].out_channels};
    if (layer == last()) {
      to.map = HasTail() ? scratch.unit_map : y;
      to.first = HasTail() ? pixel0 : 0;
    } else if (layers[layer].kept != nullptr) {
      to.map = layers[layer].kept;
    } else {
      to.scratch = layer == 0 ? scratch.map : scratch.between[layer % 2];
    }
    return to;
  }

  // One block of pixels in a row through direct convolution, then the rest.
  void RunPixels(int64_t first, int64_t count, const float* x, const MlpConvLayer* layers, float* y,
                 int64_t pixel0, const Scratch& scratch) const {
    const Destination to = DestinationOf(0, layers, y, pixel0, scratch);
    for (int64_t m = 0; m < count; ++m) {
      scratch.pixels[m] = first + m;
      scratch.outputs[m] = to.Row(m, first + m);
    }
    const Panels panels(lattice_.columns, Tiles().shape);
    const ProductRows source =
        PrepareRows(lattice_, x, 0, first, count, BlockScratch(lattice_, scratch.first));
    MultiplyBlock(source, panels, 0, panels.count(), layers[0].packed, layers[0].bias,
                  problem_.activations[0], scratch.outputs);
    RunRest(count, layers, y, pixel0, scratch);
  }

  // One block of tiles through Winograd's convolution, then the rest.
  void RunTiles(int64_t first, int64_t count, const float* x, const MlpConvLayer* layers, float* y,
                int64_t pixel0, const Scratch& scratch) const {
    const Destination to = DestinationOf(0, layers, y, pixel0, scratch);
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
    RunRest(pixels, layers, y, pixel0, scratch);
  }

  // The 1×1 layers on the block that the first layer wrote.
  void RunRest(int64_t pixels, const MlpConvLayer* layers, float* y, int64_t pixel0,
               const Scratch& scratch) const {
    for (int64_t m0 = 0; m0 < pixels; m0 += BlockRows()) {
      const int64_t count = std::min(BlockRows(), pixels - m0);
      float** rows = scratch.outputs + m0;  // what the last layer wrote
      for (size_t layer = 1; layer <= last(); ++layer) {
        const Conv2dProblem& p = problem_.layers[layer];
        const Destination to = DestinationOf(layer, layers, y, pixel0, scratch);
        for (int64_t m = 0; m < count; ++m) {
          scratch.rows[m] = to.Row(m, scratch.pixels[m0 + m]);
        }
        const Panels panels(p.out_channels, Tiles().shape);
        MultiplyBlock({rows, count, 1, p.input.c}, panels, 0, panels.count(), layers[layer].packed,
                      layers[layer].bias, problem_.activations[layer], scratch.rows);
        std::copy_n(scratch.rows, count, rows);
      }
    }
  }

  const MlpConvProblem& problem_;
  const Shape map_;  // of the first layer, and but for the channels of all
  const TapLattice lattice_;
  std::optional<WinogradBlocks> winograd_;
  int64_t tile_pixels_ = 0;
  int64_t images_ = 1;        // of a unit
  int64_t block_pixels_ = 0;  // what the first layer makes at a time, at most
  int64_t widest_ = 0;        // channels
};

// Layer after layer. The maps between them that nobody keeps take turns in two buffers.
struct LayerByLayer {
  explicit LayerByLayer(const MlpConvProblem& p) {
    int64_t largest = 0;
    for (const Conv2dProblem& layer : p.layers) {
      largest = std::max(largest, layer.output().size());
      size = size.Max(Conv2dWorkspace(layer, Pass::kForward));
    }
    map_bytes = WorkspaceSize::Aligned(static_cast<size_t>(largest) * sizeof(float));
  }
  WorkspaceSize Total() const { return {2 * map_bytes + size.shared, size.per_thread}; }

  size_t map_bytes = 0;
  WorkspaceSize size;  // of any one layer
};

void RunLayers(const MlpConvProblem& p, const Chain& chain, const float* x,
               const MlpConvLayer* layers, float* y, const Workspace& workspace) {
  const LayerByLayer plan(p);
  std::byte* const base = workspace.shared<std::byte>();
  const Workspace inner(base + 2 * plan.map_bytes, {plan.size.shared, workspace.size().per_thread},
                        workspace.threads());
  for (size_t i = 0; i < p.layers.size(); ++i) {
    const bool goes_out = i + 1 == p.layers.size() && !chain.HasTail();
    float* to = goes_out ? y
                : layers[i].kept != nullptr
                    ? layers[i].kept
                    : reinterpret_cast<float*>(base + i % 2 * plan.map_bytes);
    Conv2dForward(p.layers[i], x, layers[i].packed, layers[i].bias, p.activations[i], to, inner);
    x = to;
  }
  chain.RunTail(p.layers[0].input.n, x, y, workspace.threads());
}

}  // namespace

WorkspaceSize MlpConvWorkspace(const MlpConvProblem& p) {
  const Chain chain(p);
  WorkspaceSize size{.per_thread = chain.ScratchBytes()};
  return chain.units() < kManyUnits ? size.Max(LayerByLayer(p).Total()) : size;
}

void MlpConvForward(const MlpConvProblem& p, const float* x, const MlpConvLayer* layers, float* y,
                    const Workspace& workspace) {
  if (p.output().size() == 0) return;
  const Chain chain(p);
  if (chain.units() < kManyUnits && chain.units() < 2 * workspace.threads()) {
    return RunLayers(p, chain, x, layers, y, workspace);
  }
  ParallelFor(workspace.threads(), chain.units(), [&](int64_t unit, int thread) {
    chain.RunUnit(unit, x, layers, y, workspace.thread<std::byte>(thread));
  });
}

}  // namespace ninc::cpu
