// From a forward pool to all that belongs to it, both ways: its gradient, the dropout after both,
// the mask of the activation in front. Each is taken where nobody else reads what is between.
#include <utility>
#include <vector>

#include "compile/fuse/fuse.h"

namespace ninc {
namespace {

class PoolFusion {
 public:
  PoolFusion(const Backend& backend, Program* program)
      : backend_(backend),
        program_(*program),
        readers_(CountReaders(*program)),
        dropped_(program->steps.size()) {}

  void Run() {
    for (size_t i = 0; i < program_.forward_steps; ++i) {
      if (const auto* max = StepAt<step::MaxPool2d>(program_, i)) {
        Fuse<step::MaxPool2dBackward>(i, *max, TrainingPoolProblem::Kind::kMax);
      } else if (const auto* avg = StepAt<step::AvgPool2d>(program_, i)) {
        Fuse<step::AvgPool2dBackward>(i, *avg, TrainingPoolProblem::Kind::kAvg);
      }
    }
    DropSteps(dropped_, &program_);
  }

 private:
  // `forward` is a copy: steps change.
  template <typename Backward, typename Forward>
  void Fuse(size_t index, const Forward forward, TrainingPoolProblem::Kind kind) {
    const auto [back, backward] = Find<Backward>([&](const Step& step, const Backward&) {
      return step.nodes == program_.steps[index].nodes;
    });
    if (backward == nullptr) return;
    TrainingPoolProblem problem{.kind = kind, .pool = forward.problem};
    step::TrainingPool pool{.x = forward.x, .y = forward.y};
    const ValueId dy = backward->dy, dx = backward->dx;
    step::TrainingPoolBackward gradient{.dy = dy, .dx = dx};

    const auto [drop, dropout] = Find<step::Dropout>(
        [&](const Step&, const step::Dropout& s) { return s.x == forward.y && s.p < 1.0f; });
    const auto [undrop, dropout_backward] =
        Find<step::Dropout>([&](const Step&, const step::Dropout& s) { return s.y == dy; });
    const bool drops = dropout != nullptr && dropout_backward != nullptr &&
                       readers_[forward.y] == 1 && readers_[dy] == 1 &&
                       dropout->layer == dropout_backward->layer;
    if (drops) {
      problem.dropout = dropout->p;
      problem.layer = dropout->layer;
      pool.y = dropout->y;
      gradient.dy = dropout_backward->x;
    }
    const auto [mask, activation] =
        Find<step::ActivationBackward>([&](const Step&, const step::ActivationBackward& s) {
          return s.dy == dx && s.y == forward.x && s.dx != kNoValue;
        });
    const bool masks = activation != nullptr && readers_[dx] == 1;
    if (masks) {
      problem.activation = activation->activation;
      gradient.dx = activation->dx;
    }
    pool.problem = gradient.problem = problem;
    const std::optional<Kernel> kernel = KernelOf(backend_, program_, pool);
    if (!kernel || !KernelOf(backend_, program_, gradient)) return;
    if (kernel->trace_bytes > 0) {
      pool.trace = gradient.trace = program_.AddValue({.bytes = kernel->trace_bytes});
    }
    if (drops) {
      TakeNodes(drop, index);
      TakeNodes(undrop, back);
    }
    if (masks) {  // the bias's gradient is left
      const ValueId dbias = activation->dbias;
      program_.steps[mask].op =
          step::ActivationBackward{{}, gradient.dx, kNoValue, kNoValue, dbias};
      dropped_[mask] = dbias == kNoValue;
    }
    program_.steps[index].op = pool;
    program_.steps[back].op = gradient;
  }

  // The step `from` is computed by `by`.
  void TakeNodes(size_t from, size_t by) {
    const std::vector<NodeId>& more = program_.steps[from].nodes;
    std::vector<NodeId>& nodes = program_.steps[by].nodes;
    nodes.insert(nodes.end(), more.begin(), more.end());
    dropped_[from] = true;
  }

  // The first step of a kind that `matches`.
  template <typename Op, typename Matches>
  std::pair<size_t, const Op*> Find(Matches matches) const {
    for (size_t i = 0; i < program_.steps.size(); ++i) {
      const Op* op = StepAt<Op>(program_, i);
      if (op != nullptr && !dropped_[i] && matches(program_.steps[i], *op)) return {i, op};
    }
    return {0, nullptr};
  }

  const Backend& backend_;
  Program& program_;
  std::vector<int> readers_;   // by value
  std::vector<bool> dropped_;  // by step
};

}  // namespace

void FuseTrainingPools(const Backend& backend, Program* program) {
  PoolFusion(backend, program).Run();
}

}  // namespace ninc
