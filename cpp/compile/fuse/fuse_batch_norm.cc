// All batch norms that follow convolutions are found first and rewritten afterwards, since one may
// be the source of the next: then neither its result nor the gradient of it has memory, and forward
// and backward steps of two layers change together.
#include <optional>
#include <utility>
#include <vector>

#include "compile/fuse/fuse.h"

namespace ninc {
namespace {

class NormFusion {
 public:
  NormFusion(const Backend& backend, Program* program)
      : backend_(backend), program_(*program), readers_(CountReaders(*program)) {}

  void Run() {
    FindSites();
    for (Site& site : sites_) FindReader(&site);
    dropped_.resize(program_.steps.size());
    for (const Site& site : sites_) Rewrite(site);
    DropSteps(dropped_, &program_);
  }

 private:
  // A batch norm that follows a convolution; steps by the numbers that they had before.
  struct Site {
    size_t conv_step, forward_step, backward_step;
    step::Conv2d conv;
    step::BatchNorm forward;
    step::BatchNormBackward backward;
    ValueId scale;
    // The batch norm in front of the convolution, where nobody else reads its result going forward.
    // Then neither that result nor the gradient between the convolution and this batch norm has
    // memory.
    const Site* source = nullptr;
    size_t weights_step = 0, data_step = 0;
    const Site* reader = nullptr;  // the site whose source this batch norm is
  };

  void FindSites() {
    std::vector<std::optional<size_t>> convs(program_.values.size());     // by y
    std::vector<std::optional<size_t>> backward(program_.values.size());  // by save_mean
    for (size_t i = 0; i < program_.steps.size(); ++i) {
      if (const auto* s = StepAt<step::BatchNormBackward>(program_, i)) backward[s->save_mean] = i;
    }
    for (size_t i = 0; i < program_.steps.size(); ++i) {
      const auto* conv = StepAt<step::Conv2d>(program_, i);
      if (conv != nullptr && conv->activation == Activation{}) convs[conv->y] = i;
      const auto* norm = StepAt<step::BatchNorm>(program_, i);
      if (norm == nullptr || !convs[norm->x] || !backward[norm->save_mean]) continue;
      const size_t c = *convs[norm->x], b = *backward[norm->save_mean];
      const Conv2dProblem& problem = StepAt<step::Conv2d>(program_, c)->problem;
      if (!KernelOf(backend_, program_, step::NormConv2d{.problem = problem}) ||
          !KernelOf(backend_, program_, step::Normalize{}) ||
          !KernelOf(backend_, program_, step::NormBackward{})) {
        continue;
      }
      convs[norm->x].reset();  // one batch norm's statistics each
      sites_.push_back({c, i, b, *StepAt<step::Conv2d>(program_, c), *norm,
                        *StepAt<step::BatchNormBackward>(program_, b),
                        program_.AddArena(program_.values[norm->save_mean].shape)});
    }
  }

  // Whether both gradients of a convolution between batch norms can be taken in one walk.
  bool HasWalk(const Conv2dProblem& problem) const {
    if (problem.IsDepthwise()) {
      return KernelOf(backend_, program_, step::DepthwiseBackward{.problem = problem}).has_value();
    }
    using Walk = step::PointwiseBackward;
    return problem.IsPointwise() &&
           KernelOf(backend_, program_, Walk{.problems = {problem}, .norms = Walk::Norms{}});
  }

  // The convolution that alone reads the batch norm's result, where its gradients are taken in one
  // walk.
  void FindReader(Site* site) {
    const ValueId y = site->forward.y;
    // The batch norm's own backward pass, the convolution and its weight gradient.
    constexpr int kReaders = 3;
    if (readers_[y] != kReaders) return;
    for (Site& reader : sites_) {
      const Conv2dProblem& problem = reader.conv.problem;
      const ValueId dz = reader.backward.dx;
      if (reader.conv.x != y || readers_[dz] != 2 || !HasWalk(problem)) {
        continue;
      }
      std::optional<size_t> weights, data;
      for (size_t i = reader.backward_step; i < site->backward_step; ++i) {
        const auto* w = StepAt<step::Conv2dBackwardWeights>(program_, i);
        if (w != nullptr && w->dy == dz && w->x == y) weights = i;
        const auto* d = StepAt<step::Conv2dBackwardData>(program_, i);
        if (d != nullptr && d->dy == dz && d->dx == site->backward.dy && readers_[d->dx] == 1) {
          data = i;
        }
      }
      if (!weights || !data) continue;
      // The walk of a depthwise layer gives no bias's gradient: before a batch norm, which takes a
      // bias away again, hardly any has one.
      if (problem.IsDepthwise() && DbiasOf(*weights) != kNoValue) continue;
      reader.source = site;
      reader.weights_step = *weights;
      reader.data_step = *data;
      site->reader = &reader;
    }
  }

  ValueId DbiasOf(size_t weights_step) const {
    return StepAt<step::Conv2dBackwardWeights>(program_, weights_step)->dbias;
  }

  static step::Norm NormOf(const Site& site) {
    return {site.forward.save_mean, site.scale, site.forward.bias, site.forward.activation};
  }
  // The gradient that comes from a walk of a 1×1 layer has been masked.
  static step::NormValues ValuesOf(const Site& site) {
    step::NormValues values{NormOf(site), site.forward.x, site.forward.save_inv_std,
                            site.backward.dweight, site.backward.dbias};
    if (site.reader != nullptr && !site.reader->conv.problem.IsDepthwise()) {
      values.norm.activation = {};
    }
    return values;
  }

  void Rewrite(const Site& site) {
    const step::BatchNorm& forward = site.forward;
    Step& conv = program_.steps[site.conv_step];
    const std::vector<NodeId>& nodes = program_.steps[site.forward_step].nodes;
    conv.nodes.insert(conv.nodes.end(), nodes.begin(), nodes.end());
    step::NormConv2d fused{.problem = site.conv.problem,
                           .x = site.conv.x,
                           .packed = site.conv.packed,
                           .bias = site.conv.bias,
                           .source = {},
                           .y = site.conv.y,
                           .eps = forward.eps,
                           .momentum = forward.momentum,
                           .weight = forward.weight,
                           .running_mean = forward.running_mean,
                           .running_var = forward.running_var,
                           .mean = forward.save_mean,
                           .inv_std = forward.save_inv_std,
                           .scale = site.scale,
                           .new_mean = forward.new_mean,
                           .new_var = forward.new_var};
    if (site.source != nullptr) {
      fused.x = site.source->forward.x;
      fused.source = NormOf(*site.source);
    }
    conv.op = fused;
    if (site.reader != nullptr) {
      dropped_[site.forward_step] = true;
    } else {
      program_.steps[site.forward_step].op = step::Normalize{NormOf(site), forward.x, forward.y};
    }
    if (site.reader != nullptr && site.source != nullptr) {
      dropped_[site.backward_step] = true;
    } else {
      program_.steps[site.backward_step].op =
          step::NormBackward{.values = ValuesOf(site),
                             .dy = site.backward.dy,
                             .sums = site.reader == nullptr,
                             .dx = site.source == nullptr ? site.backward.dx : kNoValue};
    }
    if (site.source != nullptr) RewriteGradients(site);
  }

  // Both gradients of a convolution between two batch norms.
  void RewriteGradients(const Site& site) {
    const auto weights = *StepAt<step::Conv2dBackwardWeights>(program_, site.weights_step);
    const auto data = *StepAt<step::Conv2dBackwardData>(program_, site.data_step);
    step::NormValues before = ValuesOf(*site.source);
    before.norm.activation = site.source->forward.activation;
    StepOp& op = program_.steps[site.data_step].op;
    if (site.conv.problem.IsDepthwise()) {
      op = step::DepthwiseBackward{.problem = site.conv.problem,
                                   .after = ValuesOf(site),
                                   .before = before,
                                   .packed = data.packed,
                                   .dweight = weights.dweight,
                                   .dy = site.backward.dy,
                                   .dx = data.dx};
    } else {
      op = step::PointwiseBackward{
          .problems = {site.conv.problem},
          .layers = {{before.z, data.packed, before.norm.activation, weights.dweight,
                      weights.dbias}},
          .dy = site.backward.dy,
          .dx = data.dx,
          .norms = step::PointwiseBackward::Norms{.after = ValuesOf(site), .before = before}};
    }
    dropped_[site.weights_step] = true;
  }

  const Backend& backend_;
  Program& program_;
  std::vector<int> readers_;  // by value
  std::vector<Site> sites_;
  std::vector<bool> dropped_;  // by step
};

}  // namespace

void FuseBatchNorms(const Backend& backend, Program* program) {
  NormFusion(backend, program).Run();
}

}  // namespace ninc
