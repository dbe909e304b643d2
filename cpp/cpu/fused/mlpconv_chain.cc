#include "cpu/fused/mlpconv_chain.h"

#include <algorithm>

#include "base/threads/cancel.h"
#include "base/carver.h"
#include "cpu/conv2d/direct/conv2d_block.h"
#include "cpu/conv2d/direct/conv2d_split.h"
#include "cpu/pool/global_avg_pool.h"
#include "cpu/pool/pool2d.h"
#include "cpu/pool/pool2d_training.h"
#include "cpu/schedule/blocks.h"

namespace ninc::cpu {
namespace {

// Tiles a block of Winograd's: its products, its map and the next layers' weights share L2.
constexpr int64_t kChainTiles = 32;

}  // namespace

MlpConvPlan::MlpConvPlan(Target target, const MlpConvProblem& problem)
    : target(target), problem(problem) {
  for (const Conv2dProblem& layer : problem.layers) {
    layers.emplace_back(target, layer, Pass::kForward);
  }
}

// What a layer writes to: its kept map, the tail's or the caller's, else scratch rows.
struct MlpConvChain::Destination {
  float* map = nullptr;  // row of pixel p at map + (p - first)·channels
  int64_t first = 0;
  float* scratch = nullptr;  // row of the block's pixel m at scratch + m·channels
  int64_t channels = 0;
  float* Row(int64_t m, int64_t pixel) const {
    return map != nullptr ? map + (pixel - first) * channels : scratch + m * channels;
  }
};

struct MlpConvChain::Scratch {
  Scratch(const MlpConvChain& chain, Carver& carver) {
    if (chain.winograd_) {
      first = carver.Take<std::byte>(chain.winograd_->ScratchBytes());
    } else if (chain.depthwise_) {
      first = carver.Take<std::byte>(chain.depthwise_->ScratchBytes());
    } else {
      block.emplace(chain.target_, chain.lattice_, chain.panels_, carver);
    }
    halves = carver.Take<std::byte>(chain.halves_bytes_);
    pixels = carver.Take<int64_t>(chain.block_pixels_);
    outputs = carver.Take<float*>(chain.block_pixels_);
    tiles = carver.Take<float*>(chain.block_pixels_);
    rows = carver.Take<float*>(BlockRows(chain.target_));
    map = carver.Take(chain.block_pixels_ * chain.map_.c);
    for (float*& buffer : between) buffer = carver.Take(BlockRows(chain.target_) * chain.widest_);
    // A unit alone goes through in pieces.
    const bool whole = chain.HasTail() && chain.units() > 1;
    const int64_t unit_pixels = whole ? chain.images_ * chain.map_.h * chain.map_.w : 0;
    unit_map = carver.Take(unit_pixels * chain.last_channels());
  }

  std::byte* first = nullptr;         // the first layer's own
  std::optional<BlockScratch> block;  // the same of direct convolution

  std::byte* halves;  // of the later layers' products
  int64_t* pixels;    // [block_pixels]: which pixel of all a row is
  float** outputs;    // [block_pixels]: where the layer before the rest writes them
  float** tiles;      // [block_pixels]: the same in the order of tiles, null for none
  float** rows;       // [BlockRows]: where a later layer writes
  float* map;         // [block_pixels][channels of the first layer]
  float* between[2];  // [BlockRows][widest]
  float* unit_map;    // [pixels of a unit][channels of the last layer], with a tail
};

MlpConvChain::MlpConvChain(const MlpConvPlan& plan, const MlpConvTail* training)
    : plan_(plan),
      target_(plan.target),
      problem_(plan.problem),
      training_(training),
      map_(problem_.layers[0].output()),
      lattice_(MakeLattice(problem_.layers[0], Pass::kForward, 0)),
      panels_(PanelsOf(0)) {
  const Target target = target_;
  const MlpConvProblem& p = problem_;
  const WinogradShape& shape = plan.layers[0].winograd;
  const bool direct = shape.tile == 0 && !plan.layers[0].depthwise;
  first_pixels_ = direct ? BlockPixels(target, lattice_, panels_.shape()) : BlockRows(target);
  int64_t images = first_pixels_ / std::max<int64_t>(1, map_.h * map_.w);
  if (shape.tile > 0) {
    winograd_.emplace(plan.layers[0], kChainTiles);
    tile_pixels_ = shape.outputs() * shape.outputs();
    images = kChainTiles / std::max<int64_t>(1, InImage());
  }
  if (plan.layers[0].depthwise) depthwise_.emplace(plan.layers[0], 0);
  images_ = std::clamp<int64_t>(images, 1, std::max<int64_t>(1, map_.n));
  block_pixels_ = winograd_ ? winograd_->tiles() * tile_pixels_ : first_pixels_;
  block_pixels_ = std::max(BlockRows(target), block_pixels_);
  for (size_t i = 0; i < p.layers.size(); ++i) {
    widest_ = std::max(widest_, p.layers[i].out_channels);
    const size_t bytes = SplitScratchBytes(target, 1, p.layers[i].input.c, PanelsOf(i));
    if (i > 0) halves_bytes_ = std::max(halves_bytes_, static_cast<int64_t>(bytes));
  }
}

int64_t MlpConvChain::InImage() const {
  return winograd_ ? winograd_->grid().rows * winograd_->grid().columns : map_.h * map_.w;
}

int64_t MlpConvChain::units() const { return CeilDiv(map_.n, images_); }

Span MlpConvChain::UnitImages(int64_t unit) const {
  return {unit * images_, std::min(map_.n, (unit + 1) * images_)};
}

Span MlpConvChain::UnitPlaces(int64_t unit) const {
  const Span images = UnitImages(unit);
  return {images.begin * InImage(), images.end * InImage()};
}

Span MlpConvChain::UnitPixels(int64_t unit) const {
  const Span images = UnitImages(unit);
  return {images.begin * map_.h * map_.w, images.end * map_.h * map_.w};
}

int64_t MlpConvChain::UnitOf(int64_t place) const { return place / (images_ * InImage()); }

int64_t MlpConvChain::block_places() const {
  return winograd_ ? winograd_->tiles() : first_pixels_;
}

std::string MlpConvChain::BlockText() const {
  return BlockName(EvenBlock(images_ * InImage(), block_places()), winograd_ ? "tile" : "pixel");
}

size_t MlpConvChain::ScratchBytes() const { return BytesOf<Scratch>(*this); }

float* MlpConvChain::UnitMap(std::byte* memory) const {
  Carver carver(memory);
  return Scratch(*this, carver).unit_map;
}

MlpConvChain::Destination MlpConvChain::DestinationOf(size_t layer, const MlpConvLayer* layers,
                                                      const LastMap& last_map,
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

void MlpConvChain::Run(Span places, const float* x, const MlpConvLayer* layers,
                       const LastMap& last_map, std::byte* memory) const {
  Carver carver(memory);
  const Scratch scratch(*this, carver);
  if (depthwise_) depthwise_->Prepare(scratch.first);
  const int64_t step = EvenBlock(places.end - places.begin, block_places());
  for (int64_t first = places.begin; first < places.end && !IsCancelled(); first += step) {
    const int64_t count = std::min(step, places.end - first);
    if (winograd_) {
      RunTiles(first, count, x, layers, last_map, scratch);
    } else {
      RunPixels(first, count, x, layers, last_map, scratch);
    }
  }
}

void MlpConvChain::RunFrom(size_t layer, Span pixels, const float* x, const MlpConvLayer* layers,
                           const LastMap& last_map, std::byte* memory) const {
  Carver carver(memory);
  const Scratch scratch(*this, carver);
  const int64_t channels = problem_.layers[layer].input.c;
  for (int64_t m = pixels.begin; m < pixels.end; ++m) {
    scratch.pixels[m - pixels.begin] = m;
    scratch.outputs[m - pixels.begin] = const_cast<float*>(x + m * channels);  // read alone
  }
  RunRest(layer, pixels.end - pixels.begin, layers, last_map, scratch);
}

// Pixels through direct or depthwise convolution, then the rest.
void MlpConvChain::RunPixels(int64_t first, int64_t count, const float* x,
                             const MlpConvLayer* layers, const LastMap& last_map,
                             const Scratch& scratch) const {
  const Destination to = DestinationOf(0, layers, last_map, scratch);
  for (int64_t m = 0; m < count; ++m) {
    scratch.pixels[m] = first + m;
    scratch.outputs[m] = to.Row(m, first + m);
  }
  if (depthwise_) {  // whose pixels lie side by side in a map as in scratch memory
    depthwise_->Run(x, layers[0].packed, layers[0].bias, problem_.activations[0], first, count,
                    scratch.outputs[0], scratch.first);
  } else {
    const ProductRows source = PrepareRows(target_, lattice_, x, 0, first, count, *scratch.block);
    MultiplyBlock(target_, source, panels_, 0, panels_.count(), layers[0].packed,
                  {layers[0].bias, problem_.activations[0]}, scratch.outputs);
  }
  RunRest(1, count, layers, last_map, scratch);
}

// Tiles through Winograd's convolution, then the rest.
void MlpConvChain::RunTiles(int64_t first, int64_t count, const float* x,
                            const MlpConvLayer* layers, const LastMap& last_map,
                            const Scratch& scratch) const {
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
void MlpConvChain::RunRest(size_t first, int64_t pixels, const MlpConvLayer* layers,
                           const LastMap& last_map, const Scratch& scratch) const {
  for (int64_t m0 = 0; m0 < pixels; m0 += BlockRows(target_)) {
    const int64_t count = std::min(BlockRows(target_), pixels - m0);
    float** rows = scratch.outputs + m0;  // what the last layer wrote
    for (size_t layer = first; layer <= last(); ++layer) {
      const Conv2dProblem& p = problem_.layers[layer];
      const Destination to = DestinationOf(layer, layers, last_map, scratch);
      for (int64_t m = 0; m < count; ++m) {
        scratch.rows[m] = to.Row(m, scratch.pixels[m0 + m]);
      }
      const Panels panels = PanelsOf(layer);
      MultiplyBlock(target_, {rows, count, 1, p.input.c, scratch.halves}, panels, 0, panels.count(),
                    layers[layer].packed, {layers[layer].bias, problem_.activations[layer]},
                    scratch.rows);
      std::copy_n(scratch.rows, count, rows);
    }
  }
}

void MlpConvChain::RunTail(Span images, const float* map, float* y, int threads) const {
  if (training_ != nullptr) {
    return TrainingPoolForward(target_, *training_->pool, training_->key, images, map, y,
                               training_->trace, threads);
  }
  const Shape out = problem_.output();
  Pool2dProblem pool = problem_.pool;
  const int64_t count = pool.input.n = images.end - images.begin;
  y += images.begin * out.h * out.w * out.c;
  switch (problem_.tail) {
    case MlpConvProblem::Tail::kMaxPool:
      return MaxPool2dForward(target_, pool, map, y, threads);
    case MlpConvProblem::Tail::kAvgPool:
      return AvgPool2dForward(target_, pool, map, y, threads);
    case MlpConvProblem::Tail::kGlobalAvgPool:
      return GlobalAvgPool2dForward(target_, {count, map_.h, map_.w, last_channels()}, map, y,
                                    threads);
    case MlpConvProblem::Tail::kNone:
      return;
  }
}

}  // namespace ninc::cpu
