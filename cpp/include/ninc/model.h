// A network with its weights: what is loaded, run, trained and saved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ninc/backend.h"
#include "ninc/cancel.h"
#include "ninc/export.h"
#include "ninc/graph.h"
#include "ninc/optimizer.h"
#include "ninc/plan.h"
#include "ninc/status.h"
#include "ninc/tensor.h"

namespace ninc {

// Named arrays beside the parameters: a whitening matrix, a trainer's velocities. An array is never
// changed, only replaced, so that copies share it.
using Extras = std::map<std::string, std::shared_ptr<const Tensor>>;

// What a model holds beside its graph and its parameters, as it was at one moment.
struct StoredState {
  std::map<std::string, std::string> metadata;
  Extras extras;
};

// All that it holds beside its graph.
struct ModelState : StoredState {
  uint64_t version = 0;      // of the parameters
  SharedTensors parameters;  // parameters, then buffers, as specs() lists them
};

// What is to change among metadata and extras: a value is set, nothing (nullopt, null) removes.
struct StoredChanges {
  std::map<std::string, std::optional<std::string>> metadata;
  Extras extras;
};

// A result that stays on the device that computed it.
struct DeviceResult {
  std::shared_ptr<Backend> backend;
  DeviceMemory memory;
};

// Thread safety: any member may be called by any thread at any time, and by the child of a fork,
// whatever other threads of the parent were doing. What writes parameters (SetParameters,
// Trainer::Step) waits for its turn. Whoever reads beside it, a Run, State() or Save, sees all of
// the weights from before a write or all from after it, never a mixture.
class NINC_API Model {
 public:
  // All parameters zero (batch norm: weight and running_var one); InitializeParameters draws
  // weights to train from.
  static Result<std::shared_ptr<Model>> Create(Graph graph);
  ~Model();

  const Graph& graph() const;

  // Parameters, then buffers; the graph's ParameterSpecs order.
  const std::vector<ParameterSpec>& specs() const;
  // All parameters, metadata and extras of one moment. Their arrays are shared with the model until
  // it changes them, so that this copies none.
  Result<ModelState> State() const;
  Result<StoredState> Stored() const;  // the part of it that is no parameters
  // A copy of one of them; of no elements where there is no such parameter, or no memory for it.
  Tensor parameter(size_t index) const;
  Result<size_t> FindParameter(std::string_view name) const;
  // Replaces values; every name must exist, once, and every size fit, else nothing is changed.
  Status SetParameters(std::vector<std::pair<std::string, std::vector<float>>> values);
  // Begins anew: weights of convolutions and linear layers are drawn from N(0, std), all else is as
  // Create makes it. stds: by the layer's name; of a layer that is not among them sqrt(2 / fan_in)
  // (He, Zhang, Ren, Sun 2015, equation 10). A weight depends on the seed, its parameter's name and
  // its place in it, not on other layers, and is the one that ninc.nn gives in Python.
  Status InitializeParameters(uint64_t seed, const std::map<std::string, float>& stds = {});
  // Rises with every write to parameters; packed copies carry the version they were made from.
  uint64_t version() const;

  // Free text beside the network, stored in the file: "preprocessing", "classes", ... (JSON).
  std::map<std::string, std::string> metadata() const;
  void SetMetadata(const std::string& key, std::string text);

  // Arrays stored in the file beside the parameters. A name has 1 to 1024 bytes of UTF-8 without
  // '/', '\\' and control characters, and may be a parameter's too (files tell them apart); an
  // array has at most 8 dimensions. SetExtra replaces what was there; RemoveExtra is false for no
  // such name.
  Extras extras() const;
  Status SetExtra(const std::string& name, Tensor values);
  bool RemoveExtra(const std::string& name);
  // Several changes of metadata and extras at once, or none of them.
  Status Change(const StoredChanges& changes);

  // Runs end early where a CancellationScope says so (cancel.h).
  // y = the value of node `output` (default: the graph's output) for x: N×C×H×W of any strides.
  // y holds OutputShape(...).size() floats, contiguous N×C×H×W. x and y may be null where N is 0.
  // used: where not null, gets the state that the run computed with.
  Result<Shape> OutputShape(const Shape& input, NodeId output = -1);
  Status Run(const Shape& input, const StridedView& x, float* y, NodeId output = -1,
             ModelState* used = nullptr);
  // y[i] = the value of outputs[i], computed in one pass; without outputs, of those of the graph,
  // all of them. y[i] holds OutputShapes(...)[i].size() floats.
  Result<std::vector<Shape>> OutputShapes(const Shape& input, std::span<const NodeId> outputs = {});
  Status RunOutputs(const Shape& input, const StridedView& x, std::span<float* const> y,
                    std::span<const NodeId> outputs = {});
  // As Run for pictures, which become floats where the network runs.
  Status RunPictures(const Shape& input, const Pictures& pictures, float* y, NodeId output = -1);
  // The same for x in the memory of the device the network runs on, written by another library
  // whose `stream` may still be at it (see Backend::Borrow). The result stays there.
  Result<DeviceResult> RunOnDevice(const Shape& input, const StridedView& x, uint64_t stream,
                                   NodeId output = -1);
  Result<std::vector<DeviceResult>> RunOutputsOnDevice(const Shape& input, const StridedView& x,
                                                       uint64_t stream,
                                                       std::span<const NodeId> outputs = {});

  // From now on runs and trains on "cpu" or "cuda"; runs under way end where they began.
  Status MoveTo(std::string_view device);
  std::string_view device() const;
  std::shared_ptr<Backend> backend() const;

  // The plan for an input shape, made or taken from the cache (bounded: see SetPlanCacheBytes).
  Result<std::shared_ptr<const Plan>> PlanFor(const Shape& input, const PlanOptions& options);
  // Of plans made from now on, the trainer's too. Default: kFloat32.
  void SetPrecision(Precision precision);
  // Bounds plans, their packed weights and idle arenas together; default 512 MiB. The plan used
  // last stays even where it is larger: a network must not be compiled anew for every run.
  void SetPlanCacheBytes(size_t bytes);
  size_t PlanCacheLimit() const;
  size_t PlanCacheBytes() const;  // in use now

 private:
  friend class Trainer;
  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct StepSettings {
  UpdateRule rule = rule::Sgd();
  std::vector<ParameterUpdate> updates;  // one for each trainable parameter, in order
  uint64_t seed = 0;                     // of dropout
  uint64_t step = 0;                     // of dropout; counts from 0
  // Above 0: where the Euclidean norm of all gradients together is larger, they are scaled down to
  // it, before weight decay is added.
  float clip_norm = 0.0f;
  // average += rate * (weight - average) after the update, in [0, 1]: 0 leaves the averages alone,
  // 1 makes them the weights.
  float average_rate = 0.0f;
  // Above 1: the batch is computed in at most so many shards, one after the other, and their
  // gradients are added in an order that depends on the batch's size and on `shards` alone. That
  // bounds the memory of a step, and makes its result the same wherever shards are computed (see
  // Trainer::AddShards). Batch norms normalise each shard by itself; their running statistics
  // follow the mean over all examples of the shards' statistics.
  int64_t shards = 1;
  // Whether batch norms normalise by mean and variance of the whole batch, however it is cut. Then
  // no shard can end before the others: a step takes the activations of the whole batch, and for
  // each shard gradients and packed weights.
  bool sync_batch_norm = false;
};

// How several processes come to have the sums of all shards where StepSettings::sync_batch_norm
// asks for them, several times in a step. own: `each` values of every shard of this one's, one
// behind another. It returns those of all shards of the batch that have examples, in their order.
// An error ends the step and is its own.
using GatherShards =
    std::function<Result<std::vector<float>>(const std::vector<float>& own, size_t each)>;

struct StepResult {
  float loss = 0.0f;           // mean over the batch, before the update
  int64_t correct = 0;         // rows whose largest logit was the label's
  double gradient_norm = 0.0;  // before clipping; computed with clip_norm alone
  bool updated = false;        // false where the loss or the norm is not finite
};

// What an update rule keeps of all parameters.
struct OptimizerState {
  size_t rule = 0;                    // its place in UpdateRules()
  std::vector<SharedTensors> arrays;  // of each of its state_arrays a tensor for each trainable
                                      // parameter; none before the first step
};

// A step that was launched, and may not have been computed yet.
class NINC_API PendingStep {
 public:
  virtual ~PendingStep() = default;
  virtual Result<StepResult> Wait() = 0;  // from any thread, any number of times
};

// Forward, softmax cross entropy, backward and update in one call. The network's output must be
// logits, N×classes×1×1, or a Softmax of them, which the loss then leaves out. Where the loss or
// the norm of the gradients is not finite, weights, statistics, averages and what the optimiser
// keeps stay as they were. A trainer keeps the memory of its steps while it lives.
class NINC_API Trainer {
 public:
  static Result<std::unique_ptr<Trainer>> Create(std::shared_ptr<Model> model,
                                                 float label_smoothing);
  ~Trainer();

  // From the next step on these trainable parameters, by number, and no others stay as they are, to
  // the bit: no gradient is taken of them, none counts for clip_norm, and a step sets their
  // averages to their values. A batch norm all of whose parameters are among them normalises by its
  // running statistics, as in inference, and leaves them alone.
  Status SetFrozen(const std::vector<size_t>& parameters);

  // From the next step on class c counts weights[c] times in the loss, as
  // torch.nn.CrossEntropyLoss(weight) has it: the sum over the batch is divided by that of the
  // labels' weights. One for each class, above 0; none: all count alike.
  Status SetClassWeights(const std::vector<float>& weights);

  // x: N×C×H×W, N at least 1; labels: N values in [0, classes).
  Result<StepResult> Step(const Shape& input, const StridedView& x, const int64_t* labels,
                          const StepSettings& settings);
  // The same without waiting for the device. A processor has computed the step on return.
  Result<std::shared_ptr<PendingStep>> Launch(const Shape& input, const StridedView& x,
                                              const int64_t* labels, const StepSettings& settings);
  // Loss and gradients, nothing updated: one gradient for each trainable parameter, in order, zero
  // where it is frozen or the output does not depend on it.
  Result<StepResult> Gradients(const Shape& input, const StridedView& x, const int64_t* labels,
                               uint64_t seed, uint64_t step, std::vector<Tensor>* gradients);

  // A step that several processes make together, each from some shards of the batch
  // (StepSettings::shards) that follow one another.
  //
  // AddShards computes shards [begin, end), of which some or all may have no examples, and updates
  // nothing. batch: the whole batch's shape; x: the examples of these shards; labels: of all
  // examples. It gives, one behind another, the sums of ShardTree::Roots of these shards:
  // gradients, weighted statistics, loss and right answers, all to be added by AddSum in the order
  // of the tree. gather: needed with sync_batch_norm, where some shards are another's.
  //
  // AddSum adds `part` to `total`, which are two arrays, with the bits that the model's device
  // gives. What a program adds by itself may differ in the smallest numbers, since the processor's
  // kernels take denormal numbers for zeros.
  //
  // UpdateBySum makes the update that Step would have made: sum is that of all shards.
  Result<std::vector<float>> AddShards(const Shape& batch, const StridedView& x,
                                       const int64_t* labels, const StepSettings& settings,
                                       int64_t begin, int64_t end, const GatherShards& gather = {});
  // How many floats each of these sums has, after the latest AddShards.
  size_t ShardSumSize() const;
  Status AddSum(std::span<const float> part, std::span<float> total) const;
  Result<StepResult> UpdateBySum(const Shape& batch, std::span<const float> sum,
                                 const StepSettings& settings);

  // Where a step goes wrong: runs it piece by piece, updates nothing, and names the first weights,
  // output or gradient that are not finite: "the output of conv2 (Conv2d)". Empty where all are.
  // shards: as StepSettings::shards.
  Result<std::string> FindNonFinite(const Shape& input, const StridedView& x, const int64_t* labels,
                                    uint64_t seed, uint64_t step, int64_t shards = 1);
  // Forward in training mode but without dropout; then, in every batch norm, running = (1 -
  // momentum) * running + momentum * batch. Calls with momentum 1, 1/2, 1/3, ... leave the mean
  // over their batches.
  Status EstimateStatistics(const Shape& input, const StridedView& x, float momentum);

  // What the update rule of the latest step keeps, for checkpoints. As of now: later steps do not
  // change it. A step by another rule, or setting another's, begins with zeros.
  Result<OptimizerState> optimizer_state() const;
  // rule, array: places in UpdateRules() and in the rule's state_arrays.
  Status SetOptimizerState(size_t rule, size_t array, size_t parameter,
                           const std::vector<float>& values);
  // The averages of the trainable parameters; none before a step had an average_rate.
  Result<SharedTensors> averages() const;
  Status SetAverage(size_t index, const std::vector<float>& values);
  // Exchanges weights and averages: to evaluate or save the averages, and back to train on.
  Status SwapAverages();
  // The plan of the last step's shape, for describe(); null before the first.
  std::shared_ptr<const Plan> plan() const;

 private:
  friend class Outcome;
  struct Impl;
  explicit Trainer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // shared with outcomes that nobody has asked for yet
};

// What a file holds in addition to the model's own metadata and extras, without becoming the
// model's: a checkpoint is a network's file with a trainer's arrays. Where both have a name, this
// one is written.
struct Additions {
  std::map<std::string, std::string> metadata;
  Extras extras;
};

// Files: safetensors, the graph and the metadata as JSON in its header (io/). Load reads the whole
// file and checks every size before it believes it; Save writes a temporary file beside `path`,
// flushes it, renames it and flushes the folder. Its format version is
// the lowest that says all it holds: 1, with extras 2, with pictures' framing in "preprocessing" 3.
// Save refuses a "preprocessing" that Load would refuse.
//
// storage: of weights of two dimensions and more, which are nearly all of a file; biases, what
// batch norm has and constants stay float32. Kernels compute in float32 from whatever a file holds.
// InvalidArgument where a number is beyond the storage.
NINC_API Result<std::shared_ptr<Model>> Load(const std::string& path);
NINC_API Result<std::shared_ptr<Model>> LoadMemory(const void* data, size_t size,
                                                   const std::string& name);
NINC_API Status Save(const Model& model, const std::string& path, const Additions& more = {},
                     Storage storage = Storage::kFloat32);

}  // namespace ninc
