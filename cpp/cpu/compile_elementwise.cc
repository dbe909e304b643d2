// Activations, dropout, sums, softmax and the loss.
#include "cpu/compile.h"
#include "cpu/elementwise/activation.h"
#include "cpu/elementwise/dropout.h"
#include "cpu/elementwise/elementwise.h"
#include "cpu/softmax/softmax.h"

namespace ninc::cpu {

Compiled Compile(const step::ActivationForward& step, const Context& context) {
  const Target target = context.target;
  return Kernel{[step, target, count = context.shape(step.x).size()](const Run& run) {
    ActivationForward(target, count, step.activation, run.In(step.x), run.Out(step.y),
                      run.threads());
  }};
}

Compiled Compile(const step::ActivationBackward& step, const Context& context) {
  const Target target = context.target;
  const Shape dy = context.shape(step.dy);
  return Kernel(ActivationBackwardWorkspace(dy.pixels(), dy.c), [step, target, dy](const Run& run) {
    ActivationBackward(target, dy.pixels(), dy.c, step.activation, run.In(step.dy), run.In(step.y),
                       run.Out(step.dx), run.Out(step.dbias), run.scratch());
  });
}

Compiled Compile(const step::Dropout& step, const Context& context) {
  const Target target = context.target;
  return Kernel{[step, target, count = context.shape(step.x).size()](const Run& run) {
    const float p = run.arguments().dropout ? step.p : 0.0f;
    Dropout(target, count, p, step.layer, run.arguments().state->key, run.In(step.x),
            run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::Add& step, const Context& context) {
  const Target target = context.target;
  return Kernel{[step, target, count = context.shape(step.y).size()](const Run& run) {
    Add(target, count, run.In(step.a), run.In(step.b), step.activation, run.Out(step.y),
        run.threads());
  }};
}

Compiled Compile(const step::Softmax& step, const Context& context) {
  return Kernel{[step, x = context.shape(step.x)](const Run& run) {
    SoftmaxForward(x.pixels(), x.c, run.In(step.x), run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::SoftmaxBackward& step, const Context& context) {
  return Kernel{[step, y = context.shape(step.y)](const Run& run) {
    SoftmaxBackward(y.pixels(), y.c, run.In(step.dy), run.In(step.y), run.Out(step.dx),
                    run.threads());
  }};
}

Compiled Compile(const step::SoftmaxCrossEntropy& step, const Context& context) {
  const Shape logits = context.shape(step.logits);
  return Kernel(SoftmaxCrossEntropyWorkspace(logits.n), [step, logits](const Run& run) {
    StepState* const state = run.arguments().state;
    SoftmaxCrossEntropy(logits.n, logits.c, run.In(step.logits), run.arguments().labels,
                        step.smoothing, &state->loss, &state->correct, run.Out(step.dlogits),
                        run.scratch());
  });
}

}  // namespace ninc::cpu
