// From pictures to classes: what a model says about its pictures, and the classes it takes them
// for. The same bytes, and so the same probabilities, as `Network.predict` has in Python.
//
//     const auto best = ninc::Classify(*model, {1, height, width, 3}, pixels, 5);
//     if (best.ok()) std::cout << best.value()[0].index << " " << best.value()[0].probability;
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ninc/export.h"
#include "ninc/model.h"
#include "ninc/status.h"
#include "ninc/tensor.h"

namespace ninc {

// How pictures become the network's input: the entry "preprocessing" that the trainer stores with a
// model, and the arrays beside it. Pictures are bytes, N×H×W×C, contiguous, with C = 3 (RGB) or 1
// (grey). Never changes, and serves any number of threads.
class NINC_API Preprocessing {
 public:
  // Those of the model as it is now. InvalidArgument where it has none stored, InvalidModel where
  // what it has makes no sense.
  static Result<Preprocessing> Of(const Model& model);

  int64_t channels() const;
  // What Frame makes of pictures of this shape: pictures of the network's size and channels.
  // InvalidShape for what are no pictures: sides of 1 to 2^20 pixels are taken, and 1 or 3
  // channels.
  Result<Shape> FramedShape(const Shape& pictures) const;
  // Cuts, pads or squashes, on as many threads as a run may use. framed: FramedShape(...).size()
  // bytes.
  Status Frame(const Shape& pictures, const uint8_t* pixels, uint8_t* framed) const;
  // y = network(normalised pictures), for pictures that are framed; as Model::Run.
  Status Run(Model& model, const Shape& framed_shape, const uint8_t* framed, float* y) const;

 private:
  struct Impl;
  explicit Preprocessing(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
};

struct TopClass {
  int64_t index = 0;  // the output's number
  float probability = 0.0f;
};

// The `top` likeliest classes of each picture, by the temperature that the model has stored,
// likeliest first and of equals the one of the lower number, one picture after another: pictures.n
// × top. pictures: N×H×W×C, of any height and width.
NINC_API Result<std::vector<TopClass>> Classify(Model& model, const Shape& pictures,
                                                const uint8_t* pixels, int64_t top);

// The classes' names in the order of the outputs, as "classes" stores them; none where the model
// has none. InvalidModel where the entry is no list of names without control characters.
NINC_API Result<std::vector<std::string>> ClassNames(const Model& model);

// How many channels the model takes: Graph::InputChannels, and where that is open what its
// preprocessing says.
NINC_API Result<int64_t> InputChannels(const Model& model);

}  // namespace ninc
