// The layers of a chain one after the other for some of its pixels, a block at a time: what one
// layer made of the block is still in L2 when the next reads it.
//
// Blocks are of Winograd's tiles where that is how the first layer runs, else of pixels in a row,
// be it direct or depthwise; both are numbered through the batch, image after image, and called
// places here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cpu/conv2d/common/conv2d_pass.h"
#include "cpu/conv2d/common/conv2d_taps.h"
#include "cpu/conv2d/depthwise/conv2d_depthwise.h"
#include "cpu/conv2d/direct/conv2d_pack.h"
#include "cpu/conv2d/winograd/winograd.h"
#include "cpu/schedule/blocks.h"
#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

// One layer's arrays.
struct MlpConvLayer {
  const float* packed = nullptr;
  const float* bias = nullptr;  // or null
  float* kept = nullptr;        // where the layer's output is wanted too (a backward pass), or null
};

// A training step's pool after the chain, see step::TrainingPool.
struct MlpConvTail {
  const TrainingPoolProblem* pool = nullptr;
  const DropoutKey* key = nullptr;
  uint8_t* trace = nullptr;
};

// A chain with what was chosen for each of its layers.
struct MlpConvPlan {
  MlpConvPlan(Target target, const MlpConvProblem& problem);

  Target target;
  MlpConvProblem problem;
  std::vector<Conv2dPass> layers;
};

class MlpConvChain {
 public:
  // The last layer's map, which begins at pixel `first`: the tail's or the caller's.
  struct LastMap {
    float* map;
    int64_t first;
  };

  explicit MlpConvChain(const MlpConvPlan& plan, const MlpConvTail* training = nullptr);

  bool HasTail() const { return problem_.tail != MlpConvProblem::Tail::kNone; }
  // A unit is one image, or several small ones.
  int64_t units() const;
  Span UnitImages(int64_t unit) const;
  Span UnitPlaces(int64_t unit) const;
  Span UnitPixels(int64_t unit) const;
  int64_t UnitOf(int64_t place) const;
  int64_t places() const { return map_.n * InImage(); }
  int64_t block_places() const;  // at most
  int64_t pixels() const { return map_.pixels(); }
  // Of a unit; where these are few, pieces of a map are no larger.
  std::string BlockText() const;

  size_t ScratchBytes() const;  // of one thread
  // The part of a thread's scratch memory that holds the last layer's map of a unit for the tail;
  // there is one where there are several units.
  float* UnitMap(std::byte* memory) const;

  // Places through all layers; x is all of the chain's input.
  void Run(Span places, const float* x, const MlpConvLayer* layers, const LastMap& last_map,
           std::byte* memory) const;
  // At most BlockRows() pixels through the layers from `layer` on, which is a later one; x is all
  // of that layer's input.
  void RunFrom(size_t layer, Span pixels, const float* x, const MlpConvLayer* layers,
               const LastMap& last_map, std::byte* memory) const;
  // The pool after the maps of some images; y is that of all.
  void RunTail(Span images, const float* map, float* y, int threads) const;

 private:
  struct Destination;
  struct Scratch;

  int64_t InImage() const;  // places
  size_t last() const { return problem_.layers.size() - 1; }
  int64_t last_channels() const { return problem_.layers.back().out_channels; }
  Panels PanelsOf(size_t layer) const {
    return {problem_.layers[layer].out_channels, plan_.layers[layer].tile};
  }
  Destination DestinationOf(size_t layer, const MlpConvLayer* layers, const LastMap& last_map,
                            const Scratch& scratch) const;
  void RunPixels(int64_t first, int64_t count, const float* x, const MlpConvLayer* layers,
                 const LastMap& last_map, const Scratch& scratch) const;
  void RunTiles(int64_t first, int64_t count, const float* x, const MlpConvLayer* layers,
                const LastMap& last_map, const Scratch& scratch) const;
  void RunRest(size_t first, int64_t pixels, const MlpConvLayer* layers, const LastMap& last_map,
               const Scratch& scratch) const;

  const MlpConvPlan& plan_;
  const Target target_;
  const MlpConvProblem& problem_;
  const MlpConvTail* const training_;
  const Shape map_;  // of the first layer, and but for the channels of all
  const TapLattice lattice_;
  const Panels panels_;                      // of the first layer
  int64_t halves_bytes_ = 0;                 // of a later layer's products
  std::optional<WinogradBlocks> winograd_;   // the first layer's, where it is Winograd's
  std::optional<DepthwiseBlock> depthwise_;  // the same where it is depthwise
  int64_t tile_pixels_ = 0;
  int64_t images_ = 1;        // of a unit
  int64_t first_pixels_ = 0;  // of a block of the first layer, unless it is Winograd's
  int64_t block_pixels_ = 0;  // what any layer makes at a time, at most
  int64_t widest_ = 0;        // channels
};

}  // namespace ninc::cpu
