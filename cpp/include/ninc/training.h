// What a training loop needs beside Trainer: batches of arrays in random order, the settings of a
// step for a whole network, averaged weights at the end, accuracy. examples/train.cpp puts them
// together; ninc/schedule.h has learning rates, ninc/networks.h networks to train.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ninc/export.h"
#include "ninc/model.h"
#include "ninc/optimizer.h"
#include "ninc/schedule.h"
#include "ninc/status.h"
#include "ninc/tensor.h"

namespace ninc {

// Pictures with their classes, in memory that outlives whatever is made of them.
struct LabelledPictures {
  Shape shape;                      // of all of them; N at least 1
  const float* pictures = nullptr;  // N×C×H×W, contiguous
  const int64_t* labels = nullptr;  // N classes, each 0 or more
};

// Shards, or rows of a batch: [begin, end).
struct Stretch {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
  bool empty() const { return end <= begin; }
};

// The shards of a batch and the order in which they are added up (StepSettings::shards).
//
// A batch of N examples is cut into at most S shards of ceil(N / S) examples in a row, of which the
// last may be smaller. What several shards come to is the sum of two parts: the largest power of
// two of them that leaves some over, and those that it leaves. This binary tree depends on N and S
// alone, so that a sum has the same bits whoever computes which of its parts.
class ShardTree {
 public:
  // examples, shards: N and S, each at least 1.
  ShardTree(int64_t examples, int64_t shards)
      : examples_(examples),
        each_((examples - 1) / shards + 1),
        count_((examples - 1) / each_ + 1) {}

  int64_t examples() const { return examples_; }
  int64_t each() const { return each_; }    // examples of a shard, but for the last
  int64_t count() const { return count_; }  // shards that have examples

  // The examples of these shards.
  Stretch Rows(const Stretch& shards) const {
    return {std::min(examples_, shards.begin * each_), std::min(examples_, shards.end * each_)};
  }

  // Where the sum of several shards is parted: that of [begin, middle) is added to that of the
  // rest.
  static int64_t Middle(const Stretch& shards) {
    return shards.begin +
           static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(shards.size() - 1)));
  }

  // The largest parts of the tree that lie in `own` wholly, in order.
  std::vector<Stretch> Roots(const Stretch& own) const {
    std::vector<Stretch> roots;
    AddRoots({0, count_}, own, &roots);
    return roots;
  }

 private:
  static void AddRoots(const Stretch& part, const Stretch& own, std::vector<Stretch>* roots) {
    if (part.empty() || part.end <= own.begin || own.end <= part.begin) return;
    if (own.begin <= part.begin && part.end <= own.end) {
      roots->push_back(part);
      return;
    }
    const int64_t middle = Middle(part);  // a single shard lies in `own` or beside it
    AddRoots({part.begin, middle}, own, roots);
    AddRoots({middle, part.end}, own, roots);
  }

  int64_t examples_, each_, count_;
};

// A batch: what Trainer::Step takes.
struct Batch {
  Shape shape;
  StridedView x;
  const int64_t* labels = nullptr;
};

// The order of an epoch: 0 to count - 1, shuffled (Fisher and Yates; Knuth, The Art of Computer
// Programming 2, 3.4.2, algorithm P) by random numbers that depend on seed and epoch alone. It is
// not the order that ninc.Trainer in Python gives the same seed, which is numpy's.
NINC_API Result<std::vector<int64_t>> ShuffledOrder(int64_t count, uint64_t seed, uint64_t epoch);

// One epoch's batches: each picture once, in the order of ShuffledOrder, in ceil(N / batch_size)
// batches whose sizes differ by one picture at most, the larger ones first.
class NINC_API ShuffledBatches {
 public:
  static Result<ShuffledBatches> Create(const LabelledPictures& data, int64_t batch_size,
                                        uint64_t seed, uint64_t epoch);

  int64_t count() const { return count_; }
  // The next batch, null after the last; it is valid until the call after it.
  const Batch* Next();
  // The share of the epoch that lies before the batch that Next gave: epoch + progress() is a
  // schedule's place.
  double progress() const;

 private:
  ShuffledBatches() = default;

  LabelledPictures data_;
  std::vector<int64_t> order_;
  int64_t count_ = 0, given_ = 0;
  std::vector<float> pictures_;
  std::vector<int64_t> labels_;
  Batch batch_;
};

// Settings of an optimiser for parameters whose names match a pattern, in which * stands for any
// characters and ? for one: lr_mult multiplies the rate, weight_decay replaces it. Of several
// groups that match, a later one overrides an earlier one, setting by setting.
struct OptimizerGroup {
  std::string pattern;  // "*.bias"
  std::optional<double> lr_mult = {}, weight_decay = {};
};

// Optimisers for a whole network, as ninc.SGD, ninc.Adam and ninc.AdamW in Python;
// ninc/optimizer.h has their formulas.
struct Sgd {
  using Group = OptimizerGroup;

  double lr = 0.1;
  double momentum = 0.0;
  bool nesterov = false;
  double weight_decay = 0.0;
  double clip_norm = 0.0;  // 0: no limit
  std::vector<Group> groups = {};
};
struct Adam {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;  // added to the gradient
  double clip_norm = 0.0;
  std::vector<OptimizerGroup> groups = {};
};
struct AdamW {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 1e-2;  // taken of the weight itself
  double clip_norm = 0.0;
  std::vector<OptimizerGroup> groups = {};
};

// The settings of a step with the rates multiplied by `lr_factor`; seed, step and average_rate are
// the caller's to set. An error where a group's pattern matches none of the parameters.
NINC_API Result<StepSettings> MakeStepSettings(const Model& model, const Sgd& sgd,
                                               double lr_factor = 1.0);
NINC_API Result<StepSettings> MakeStepSettings(const Model& model, const Adam& adam,
                                               double lr_factor = 1.0);
NINC_API Result<StepSettings> MakeStepSettings(const Model& model, const AdamW& adamw,
                                               double lr_factor = 1.0);

// Ends a training with its averages: the model's weights become the averages, and the trainer's
// averages the weights they were. Statistics of batch norms belong to the weights of their step, so
// they are estimated anew: each is the mean over the first `norm_batches` of `batches`. `trainer`
// is one of `model`. After an error the model has what it had before.
NINC_API Status TakeAverages(Model& model, Trainer& trainer, ShuffledBatches batches,
                             int64_t norm_batches = 50);

struct Evaluation {
  // Mean softmax cross entropy; a Softmax that ends the network is not taken twice.
  double loss = 0.0;
  int64_t correct = 0;  // pictures whose largest output is the label's
  int64_t count = 0;
  double accuracy() const {
    return count == 0 ? 0.0 : static_cast<double>(correct) / static_cast<double>(count);
  }
};

// Runs all pictures through the network, `batch_size` at a time, in inference mode.
NINC_API Result<Evaluation> Evaluate(Model& model, const LabelledPictures& data,
                                     int64_t batch_size = 128);

}  // namespace ninc
