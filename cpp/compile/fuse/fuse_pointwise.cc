// Walks the backward steps in order: the two gradients of a 1×1 layer stand side by side, and the
// layer in front of it follows. A walk ends where somebody else reads a gradient on its way.
#include <utility>
#include <vector>

#include "compile/fuse/fuse.h"

namespace ninc {
namespace {

class PointwiseFusion {
 public:
  PointwiseFusion(const Backend& backend, Program* program)
      : backend_(backend), program_(*program), readers_(CountReaders(*program)) {}

  void Run() {
    while (next_ < program_.steps.size()) {
      step::PointwiseBackward walk{};
      std::vector<NodeId> nodes;
      while (TakeLayer(&walk, &nodes)) continue;
      if (walk.layers.empty()) {
        steps_.push_back(std::move(program_.steps[next_++]));
      } else {
        steps_.push_back({std::move(walk), std::move(nodes)});
      }
    }
    program_.steps = std::move(steps_);
  }

 private:
  // Takes the next steps where they are a weight gradient, packing and a data gradient with which
  // `walk` goes on. Packing depends on nothing else and goes first.
  bool TakeLayer(step::PointwiseBackward* walk, std::vector<NodeId>* nodes) {
    const auto* weights = StepAt<step::Conv2dBackwardWeights>(program_, next_);
    if (weights == nullptr) return false;
    size_t end = next_ + 1;
    while (StepAt<step::PackWeights>(program_, end) != nullptr) ++end;
    const auto* data = StepAt<step::Conv2dBackwardData>(program_, end);
    if (data == nullptr || data->dy != weights->dy || !(data->problem == weights->problem)) {
      return false;
    }
    if (data->x != kNoValue && data->x != weights->x) return false;
    const bool first = walk->layers.empty();
    // Nobody but these two may want what has no memory then.
    if (!first && (weights->dy != walk->dx || readers_[walk->dx] != 2 ||
                   walk->layers.size() == MlpConvProblem::kMaxLayers)) {
      return false;
    }
    if (!KernelOf(backend_, program_, step::PointwiseBackward{.problems = {weights->problem}})) {
      return false;
    }
    if (first) walk->dy = weights->dy;
    walk->dx = data->dx;
    walk->problems.push_back(weights->problem);
    walk->layers.push_back(
        {weights->x, data->packed, data->activation, weights->dweight, weights->dbias});
    const std::vector<NodeId>& more = program_.steps[next_].nodes;
    nodes->insert(nodes->end(), more.begin(), more.end());
    for (size_t i = next_ + 1; i < end; ++i) steps_.push_back(std::move(program_.steps[i]));
    next_ = end + 1;
    return true;
  }

  const Backend& backend_;
  Program& program_;
  std::vector<int> readers_;  // by value
  std::vector<Step> steps_;
  size_t next_ = 0;  // the first step not taken yet
};

}  // namespace

void FusePointwiseGradients(const Backend& backend, Program* program) {
  PointwiseFusion(backend, program).Run();
}

}  // namespace ninc
