// The other way round: one step becomes several. After differentiation, which knows batch norms in
// one piece alone, and before steps are joined, which leaves the parts as they are.
#include <utility>
#include <variant>
#include <vector>

#include "compile/fuse/fuse.h"

namespace ninc {
namespace {

class Parting {
 public:
  explicit Parting(Program* program) : program_(*program), readers_(CountReaders(*program)) {}

  void Run() {
    for (Step& step : std::exchange(program_.steps, {})) {
      nodes_ = step.nodes;
      if (const auto* forward = std::get_if<step::BatchNorm>(&step.op)) {
        Part(*forward);
      } else if (const auto* backward = std::get_if<step::BatchNormBackward>(&step.op)) {
        Part(*backward);
      } else {
        program_.steps.push_back(std::move(step));
      }
    }
    CountForwardSteps(&program_);
  }

 private:
  void Emit(StepOp op) { program_.steps.push_back({std::move(op), nodes_}); }
  ValueId Like(ValueId v) { return program_.AddArena(Shape(program_.values[v].shape)); }

  void Part(const step::BatchNorm& norm) {
    const ValueId mean = Like(norm.save_mean), squares = Like(norm.save_mean);
    Emit(step::BatchMoments{norm.x, mean, squares});
    Emit(step::JoinMoments{.eps = norm.eps,
                           .momentum = norm.momentum,
                           .x = norm.x,
                           .mean = mean,
                           .squares = squares,
                           .running_mean = norm.running_mean,
                           .running_var = norm.running_var,
                           .joined_mean = norm.save_mean,
                           .joined_inv_std = norm.save_inv_std,
                           .new_mean = norm.new_mean,
                           .new_var = norm.new_var});
    Emit(step::NormalizeBatch{norm.activation, norm.x, norm.weight, norm.bias, norm.save_mean,
                              norm.save_inv_std, norm.y});
  }

  void Part(const step::BatchNormBackward& norm) {
    Emit(step::BatchGradientSums{norm.activation, norm.dy, norm.x, norm.y, norm.weight,
                                 norm.save_mean, norm.save_inv_std, norm.dweight, norm.dbias});
    if (readers_[norm.dx] == 0) return;  // nothing in front of it is trained
    const ValueId dweight = Like(norm.dweight), dbias = Like(norm.dbias);
    Emit(step::JoinGradientSums{norm.x, norm.dweight, norm.dbias, dweight, dbias});
    Emit(step::BatchInputGradient{norm.activation, norm.dy, norm.x, norm.y, norm.weight,
                                  norm.save_mean, norm.save_inv_std, dweight, dbias, norm.dx});
  }

  Program& program_;
  const std::vector<int> readers_;  // by value
  std::vector<NodeId> nodes_;       // the layers of the step under way
};

}  // namespace

void PartBatchNorms(Program* program) { Parting(program).Run(); }

}  // namespace ninc
