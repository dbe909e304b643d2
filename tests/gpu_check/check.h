// The parts of `make gpu-check`, each printing what it finds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "ninc/model.h"

namespace ninc::gpu_check {

// quick: sizes that an emulated device can run in seconds.
struct Options {
  bool quick = false;
};

struct Net {
  const char* name;
  Shape picture;  // N = 1
  std::shared_ptr<Model> model;
};

// NIN for CIFAR-10 and for ImageNet (Lin, Chen, Yan 2013) with weights of He's variance, so that
// maps keep their size; quick: fewer channels and smaller pictures.
Net NinCifar(const Options& options);
Net NinImageNet(const Options& options);

// The updates that a step of the network needs.
inline size_t TrainableCount(const Model& model) {
  size_t count = 0;
  for (const ParameterSpec& spec : model.specs()) count += spec.trainable ? 1 : 0;
  return count;
}

// Fifty steps on the device beside the same on the processor. False where they part.
bool CheckTraining(const Options& options);
// Inference and training, by batch and precision: milliseconds, TFLOP/s, memory.
bool PrintTimings(const Options& options);

}  // namespace ninc::gpu_check
