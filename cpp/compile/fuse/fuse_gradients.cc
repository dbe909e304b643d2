// Gradients are joined in place: the order of the steps stays.
#include <vector>

#include "compile/fuse/fuse.h"

namespace ninc {

void FuseGradients(Program* program) {
  const std::vector<int> readers = CountReaders(*program);
  // By value: the data gradient that gives it, and the weight gradient that reads it as dy.
  std::vector<step::Conv2dBackwardData*> data(program->values.size());
  std::vector<step::Conv2dBackwardWeights*> weights(program->values.size());
  for (Step& step : program->steps) {
    if (auto* s = std::get_if<step::Conv2dBackwardData>(&step.op)) data[s->dx] = s;
    if (auto* s = std::get_if<step::Conv2dBackwardWeights>(&step.op)) weights[s->dy] = s;
  }
  std::vector<bool> dropped(program->steps.size());
  for (size_t i = 0; i < program->steps.size(); ++i) {
    auto* s = std::get_if<step::ActivationBackward>(&program->steps[i].op);
    if (s == nullptr) continue;
    step::Conv2dBackwardData* source = data[s->dy];
    if (s->dx != kNoValue && source != nullptr && readers[s->dy] == 1) {
      source->x = s->y;
      source->activation = s->activation;
      source->dx = s->dx;
      *s = {.activation = {}, .dy = s->dx, .y = kNoValue, .dx = kNoValue, .dbias = s->dbias};
    }
    if (s->dx != kNoValue) continue;
    // What is left is the bias's gradient, or nothing. Where a sum hands its gradient to several
    // convolutions, one weight gradient takes one bias's along; the other biases keep their steps.
    step::Conv2dBackwardWeights* const taker = weights[s->dy];
    if (s->dbias != kNoValue && taker != nullptr && taker->dbias == kNoValue) {
      taker->dbias = s->dbias;
      dropped[i] = true;
    }
    if (s->dbias == kNoValue) dropped[i] = true;
  }
  DropSteps(dropped, program);
}

}  // namespace ninc
