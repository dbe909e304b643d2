// Chains grow forward from a convolution along the steps that follow it, as long as each reads what
// the one before wrote.
#include <utility>
#include <vector>

#include "compile/fuse/fuse.h"

namespace ninc {
namespace {

class ChainFusion {
 public:
  ChainFusion(const Backend& backend, Program* program)
      : backend_(backend), program_(*program), readers_(CountReaders(*program)) {}

  void Run() {
    std::vector<Step> fused;
    for (next_ = 0; next_ < program_.steps.size();) {
      Step step = std::move(program_.steps[next_++]);
      const auto* conv = std::get_if<step::Conv2d>(&step.op);
      if (conv != nullptr && CanBegin(*conv)) step = Grow(std::move(step), &fused);
      fused.push_back(std::move(step));
    }
    program_.steps = std::move(fused);
    CountForwardSteps(&program_);
  }

 private:
  template <typename Op>
  const Op* Next() const {
    return StepAt<Op>(program_, next_);
  }

  bool CanBegin(const step::Conv2d& conv) const {
    if (conv.problem.groups == 1) return true;
    if (!conv.problem.IsDepthwise()) return false;
    size_t next = next_;
    while (StepAt<step::PackWeights>(program_, next) != nullptr) ++next;
    const auto* layer = StepAt<step::Conv2d>(program_, next);
    if (layer == nullptr || !CanFollow(*layer, conv.y)) return false;
    step::MlpConv chain{.problem = {}, .x = conv.x, .layers = {}, .y = conv.y};
    Append(conv, &chain);
    Append(*layer, &chain);
    return KernelOf(backend_, program_, chain).has_value();
  }

  static bool CanFollow(const step::Conv2d& layer, ValueId x) {
    return layer.x == x && layer.problem.IsPointwise() && layer.problem.groups == 1;
  }

  // Takes what can follow `first` from the steps not taken yet; `first` itself where that is
  // nothing.
  Step Grow(Step first, std::vector<Step>* fused) {
    const step::Conv2d conv = std::get<step::Conv2d>(first.op);
    step::MlpConv chain{.problem = {}, .x = conv.x, .layers = {}, .y = conv.y};
    std::vector<NodeId> nodes = first.nodes;
    Append(conv, &chain);
    for (;;) {
      // A training program packs a layer's weights right before it; they do not depend on the
      // chain, so they may go first.
      const size_t before = next_;
      while (Next<step::PackWeights>() != nullptr) ++next_;
      const auto* layer = Next<step::Conv2d>();
      if (layer == nullptr || !CanFollow(*layer, chain.y) ||
          chain.problem.layers.size() == MlpConvProblem::kMaxLayers) {
        next_ = before;
        break;
      }
      for (size_t i = before; i < next_; ++i) fused->push_back(std::move(program_.steps[i]));
      chain.layers.back().kept = readers_[chain.y] > 1;
      Append(*layer, &chain);
      TakeNodes(&nodes);
    }
    if (readers_[chain.y] == 1) TakePool(&chain, &nodes);
    if (chain.layers.size() == 1 && chain.problem.tail == MlpConvProblem::Tail::kNone) return first;
    return {std::move(chain), std::move(nodes)};
  }

  void TakePool(step::MlpConv* chain, std::vector<NodeId>* nodes) {
    using Tail = MlpConvProblem::Tail;
    const auto take = [&](Tail tail, const Pool2dProblem& pool, ValueId y) {
      chain->problem.tail = tail;
      chain->problem.pool = pool;
      chain->y = y;
      TakeNodes(nodes);
    };
    if (const auto* max = Next<step::MaxPool2d>(); max != nullptr && max->x == chain->y) {
      take(Tail::kMaxPool, max->problem, max->y);
    } else if (const auto* avg = Next<step::AvgPool2d>(); avg != nullptr && avg->x == chain->y) {
      take(Tail::kAvgPool, avg->problem, avg->y);
    } else if (const auto* gap = Next<step::GlobalAvgPool2d>();
               gap != nullptr && gap->x == chain->y) {
      take(Tail::kGlobalAvgPool, {}, gap->y);
    } else if (const auto* pool = Next<step::TrainingPool>();
               pool != nullptr && pool->x == chain->y) {
      const bool max = pool->problem.kind == TrainingPoolProblem::Kind::kMax;
      chain->training = pool->problem;
      chain->trace = pool->trace;
      take(max ? Tail::kMaxPool : Tail::kAvgPool, pool->problem.pool, pool->y);
    }
  }

  static void Append(const step::Conv2d& conv, step::MlpConv* chain) {
    chain->problem.layers.push_back(conv.problem);
    chain->problem.activations.push_back(conv.activation);
    chain->layers.push_back({conv.packed, conv.bias, conv.y, false});
    chain->y = conv.y;
  }

  // The next step is taken: its layers are computed by the chain.
  void TakeNodes(std::vector<NodeId>* nodes) {
    const std::vector<NodeId>& more = program_.steps[next_++].nodes;
    nodes->insert(nodes->end(), more.begin(), more.end());
  }

  const Backend& backend_;
  Program& program_;
  std::vector<int> readers_;  // by value
  size_t next_ = 0;           // the first step not taken yet
};

}  // namespace

void FuseMlpConvs(const Backend& backend, Program* program) { ChainFusion(backend, program).Run(); }

}  // namespace ninc
