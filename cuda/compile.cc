// Each step's kernel queues the operation of its name on the run's stream.
#include "cuda/compile.h"

#include <array>

#include "cuda/common/operations.h"
#include "cuda/conv2d/conv2d_shape.h"
#include "cuda/cuda_backend.h"

namespace ninc::cuda {
namespace {

Stream& On(const Run& run) { return static_cast<CudaBackend&>(run.stream()).stream(); }

}  // namespace

// ---- Layout -------------------------------------------------------------------------------------

Compiled Compile(const step::FromNchw& step, const StepValues& context) {
  const Shape to = context.shape(step.y);
  if (context.values[step.x].kind != ValueKind::kInput) {
    const std::array<int64_t, 4> strides{to.c * to.h * to.w, to.h * to.w, to.w, 1};
    return Kernel{[step, to, strides](const Run& run) {
      return FromNchw(On(run), to, {run.In(step.x), strides}, run.Out(step.y));
    }};
  }
  return Kernel{[step, to](const Run& run) {
    const Pictures& pictures = run.arguments().pictures;
    if (pictures.data == nullptr) {
      return FromNchw(On(run), to, run.arguments().x, run.Out(step.y));
    }
    return FromUint8(On(run), to, pictures.data, pictures.scale, pictures.shift, run.Out(step.y));
  }};
}

Compiled Compile(const step::ToNchw& step, const StepValues& context) {
  return Kernel{[step, from = context.shape(step.x)](const Run& run) {
    return ToNchw(On(run), from, run.In(step.x), run.Out(step.y));
  }};
}

Compiled Compile(const step::CopyChannels& step, const StepValues& context) {
  return Kernel{[step, x = context.shape(step.x), y = context.shape(step.y)](const Run& run) {
    return CopyChannels(On(run), x.pixels(), step.channels, run.In(step.x), x.c, step.x_offset,
                        run.Out(step.y), y.c, step.y_offset);
  }};
}

// ---- Convolutions -------------------------------------------------------------------------------

namespace {

Packing PackingOf(const Conv2dProblem& problem, Pass pass) {
  const char* const mirrored = pass == Pass::kBackwardData ? ", mirrored" : "";
  return {Conv2dAlgorithm(problem, pass) + mirrored, PackedWeightBytes(problem, pass),
          [=](Backend& stream, const float* weight, const float* scale, float* packed, int) {
            return PackWeights(static_cast<CudaBackend&>(stream).stream(), problem, pass, weight,
                               scale, packed);
          }};
}

// Tells the kernel of a convolution that it computes.
void Add(Kernel& kernel, size_t layer, const Conv2dProblem& problem, Pass pass) {
  if (pass != Pass::kBackwardWeights) kernel.packings.push_back(PackingOf(problem, pass));
  kernel.convolutions.push_back(
      {layer, pass, problem.Flops(), Conv2dAlgorithm(problem, pass), {}, {}});
}

// Completes the kernel of one convolution and no more.
Compiled Single(const Conv2dProblem& problem, Pass pass, Kernel kernel) {
  NINC_RETURN_IF_ERROR(CheckSize(problem));
  kernel.scratch = Conv2dWorkspace(problem, pass);
  Add(kernel, 0, problem, pass);
  return kernel;
}

}  // namespace

Compiled Compile(const step::Conv2d& step, const StepValues&) {
  return Single(step.problem, Pass::kForward, [step](const Run& run) {
    return Conv2dForward(On(run), step.problem, run.In(step.x), run.In(step.packed),
                         run.In(step.bias), step.activation, run.Out(step.y));
  });
}

Compiled Compile(const step::MlpConv& step, const StepValues&) {
  for (const Conv2dProblem& layer : step.problem.layers) NINC_RETURN_IF_ERROR(CheckSize(layer));
  using Tail = MlpConvProblem::Tail;
  Kernel kernel(MlpConvWorkspace(step.problem), [step](const Run& run) -> Status {
    std::array<MlpConvLayer, MlpConvProblem::kMaxLayers> layers;
    for (size_t i = 0; i < step.layers.size(); ++i) {
      const step::MlpConv::Layer& layer = step.layers[i];
      layers[i] = {run.In(layer.packed), run.In(layer.bias),
                   layer.kept ? run.Out(layer.y) : nullptr};
    }
    const MlpConvProblem& problem = step.problem;
    const float* map = nullptr;
    float* const y = run.Out(step.y);
    NINC_RETURN_IF_ERROR(
        MlpConvForward(On(run), problem, run.In(step.x), layers.data(), y, run.scratch(), &map));
    switch (problem.tail) {
      case Tail::kNone:
        return {};
      case Tail::kMaxPool:
        return MaxPool2dForward(On(run), problem.pool, map, y);
      case Tail::kAvgPool:
        return AvgPool2dForward(On(run), problem.pool, map, y);
      case Tail::kGlobalAvgPool:
        return GlobalAvgPool2dForward(On(run), problem.layers.back().output(), map, y);
    }
    return {};
  });
  for (size_t i = 0; i < step.problem.layers.size(); ++i) {
    Add(kernel, i, step.problem.layers[i], Pass::kForward);
  }
  return kernel;
}

Compiled Compile(const step::Conv2dBackwardData& step, const StepValues&) {
  return Single(step.problem, Pass::kBackwardData, [step](const Run& run) {
    return Conv2dBackwardData(On(run), step.problem, run.In(step.dy), run.In(step.packed),
                              run.In(step.x), step.activation, run.Out(step.dx));
  });
}

Compiled Compile(const step::Conv2dBackwardWeights& step, const StepValues&) {
  return Single(step.problem, Pass::kBackwardWeights, [step](const Run& run) {
    return Conv2dBackwardWeights(On(run), step.problem, run.In(step.x), run.In(step.dy),
                                 run.Out(step.dweight), run.Out(step.dbias), run.scratch());
  });
}

// ---- Pools --------------------------------------------------------------------------------------

Compiled Compile(const step::MaxPool2d& step, const StepValues&) {
  NINC_RETURN_IF_ERROR(CheckPictures(step.problem));
  return Kernel{[step](const Run& run) {
    return MaxPool2dForward(On(run), step.problem, run.In(step.x), run.Out(step.y));
  }};
}

Compiled Compile(const step::MaxPool2dBackward& step, const StepValues&) {
  NINC_RETURN_IF_ERROR(CheckPictures(step.problem));
  return Kernel{[step](const Run& run) {
    return MaxPool2dBackward(On(run), step.problem, run.In(step.dy), run.In(step.x),
                             run.Out(step.dx));
  }};
}

Compiled Compile(const step::AvgPool2d& step, const StepValues&) {
  NINC_RETURN_IF_ERROR(CheckPictures(step.problem));
  return Kernel{[step](const Run& run) {
    return AvgPool2dForward(On(run), step.problem, run.In(step.x), run.Out(step.y));
  }};
}

Compiled Compile(const step::AvgPool2dBackward& step, const StepValues&) {
  NINC_RETURN_IF_ERROR(CheckPictures(step.problem));
  return Kernel{[step](const Run& run) {
    return AvgPool2dBackward(On(run), step.problem, run.In(step.dy), run.Out(step.dx));
  }};
}

Compiled Compile(const step::GlobalAvgPool2d& step, const StepValues& context) {
  return Kernel{[step, from = context.shape(step.x)](const Run& run) {
    return GlobalAvgPool2dForward(On(run), from, run.In(step.x), run.Out(step.y));
  }};
}

Compiled Compile(const step::GlobalAvgPool2dBackward& step, const StepValues& context) {
  return Kernel{[step, to = context.shape(step.dx)](const Run& run) {
    return GlobalAvgPool2dBackward(On(run), to, run.In(step.dy), run.Out(step.dx));
  }};
}

// ---- Batch normalisation ------------------------------------------------------------------------

Compiled Compile(const step::FoldNorm& step, const StepValues& context) {
  return Kernel{[step, channels = context.shape(step.scale).c](const Run& run) {
    return FoldNorm(On(run), channels,
                    {.weight = run.In(step.weight),
                     .bias = run.In(step.bias),
                     .mean = run.In(step.mean),
                     .var = run.In(step.var),
                     .eps = step.eps,
                     .offset = run.In(step.offset)},
                    run.Out(step.scale), run.Out(step.shift));
  }};
}

Compiled Compile(const step::ScaleShift& step, const StepValues& context) {
  return Kernel{[step, x = context.shape(step.x)](const Run& run) {
    return ScaleShift(On(run), x.pixels(), x.c, run.In(step.x), run.In(step.scale),
                      run.In(step.shift), step.activation, run.Out(step.y));
  }};
}

// The kernels update statistics where they stand: on copies, so that a step which is not applied (a
// gradient check, a failure) leaves the model as it was.
Compiled Compile(const step::BatchNorm& step, const StepValues& context) {
  const Shape x = context.shape(step.x);
  return Kernel(BatchNormWorkspace(x.pixels(), x.c), [step, x](const Run& run) -> Status {
    const auto copy = [&](ValueId from, ValueId to) {
      return CopyChannels(On(run), 1, x.c, run.In(from), x.c, 0, run.Out(to), x.c, 0);
    };
    NINC_RETURN_IF_ERROR(copy(step.running_mean, step.new_mean));
    NINC_RETURN_IF_ERROR(copy(step.running_var, step.new_var));
    const float momentum = run.arguments().norm_momentum.value_or(step.momentum);
    return BatchNormForward(On(run), x.pixels(), x.c, run.In(step.x), run.In(step.weight),
                            run.In(step.bias), step.eps, momentum, step.activation,
                            run.Out(step.new_mean), run.Out(step.new_var), run.Out(step.save_mean),
                            run.Out(step.save_inv_std), run.Out(step.y), run.scratch());
  });
}

Compiled Compile(const step::BatchNormBackward& step, const StepValues& context) {
  const Shape x = context.shape(step.x);
  return Kernel(BatchNormWorkspace(x.pixels(), x.c), [step, x](const Run& run) {
    return BatchNormBackward(On(run), x.pixels(), x.c, run.In(step.dy), run.In(step.x),
                             run.In(step.y), step.activation, run.In(step.weight),
                             run.In(step.save_mean), run.In(step.save_inv_std), run.Out(step.dx),
                             run.Out(step.dweight), run.Out(step.dbias), run.scratch());
  });
}

// ---- Element by element, softmax and the loss ---------------------------------------------------

Compiled Compile(const step::ActivationForward& step, const StepValues& context) {
  return Kernel{[step, count = context.shape(step.x).size()](const Run& run) {
    return ActivationForward(On(run), count, step.activation, run.In(step.x), run.Out(step.y));
  }};
}

Compiled Compile(const step::ActivationBackward& step, const StepValues& context) {
  const Shape dy = context.shape(step.dy);
  return Kernel(ActivationBackwardWorkspace(dy.pixels(), dy.c), [step, dy](const Run& run) {
    return ActivationBackward(On(run), dy.pixels(), dy.c, step.activation, run.In(step.dy),
                              run.In(step.y), run.Out(step.dx), run.Out(step.dbias), run.scratch());
  });
}

Compiled Compile(const step::Dropout& step, const StepValues& context) {
  return Kernel{[step, count = context.shape(step.x).size()](const Run& run) {
    const float p = run.arguments().dropout ? step.p : 0.0f;
    return Dropout(On(run), count, p, step.layer, &run.arguments().state->key, run.In(step.x),
                   run.Out(step.y));
  }};
}

Compiled Compile(const step::Add& step, const StepValues& context) {
  return Kernel{[step, count = context.shape(step.y).size()](const Run& run) {
    return Add(On(run), count, run.In(step.a), run.In(step.b), step.activation, run.Out(step.y));
  }};
}

Compiled Compile(const step::Softmax& step, const StepValues& context) {
  return Kernel{[step, x = context.shape(step.x)](const Run& run) {
    return SoftmaxForward(On(run), x.pixels(), x.c, run.In(step.x), run.Out(step.y));
  }};
}

Compiled Compile(const step::SoftmaxBackward& step, const StepValues& context) {
  return Kernel{[step, y = context.shape(step.y)](const Run& run) {
    return SoftmaxBackward(On(run), y.pixels(), y.c, run.In(step.dy), run.In(step.y),
                           run.Out(step.dx));
  }};
}

Compiled Compile(const step::SoftmaxCrossEntropy& step, const StepValues& context) {
  const Shape logits = context.shape(step.logits);
  return Kernel(SoftmaxCrossEntropyWorkspace(logits.n), [step, logits](const Run& run) {
    StepState* const state = run.arguments().state;
    return SoftmaxCrossEntropy(On(run), logits.n, logits.c, run.In(step.logits),
                               run.arguments().labels, step.smoothing, &state->loss,
                               &state->correct, run.Out(step.dlogits), run.scratch());
  });
}

// ---- Update -------------------------------------------------------------------------------------

Compiled Compile(const step::SumOfSquares& step, const StepValues& context) {
  const int64_t count = context.shape(step.x).size();
  return Kernel(SumOfSquaresWorkspace(count), [step, count](const Run& run) {
    return SumOfSquares(On(run), count, run.In(step.x), run.arguments().sums + step.slot,
                        run.scratch());
  });
}

Compiled Compile(const step::LimitGradients& step, const StepValues&) {
  return Kernel{[step](const Run& run) {
    return LimitGradients(On(run), step.count, run.arguments().sums, run.arguments().state);
  }};
}

Compiled Compile(const step::SgdUpdate& step, const StepValues& context) {
  return Kernel{[step, count = context.shape(step.weight).size()](const Run& run) {
    return SgdUpdate(On(run), count, run.arguments().state,
                     run.arguments().updates + step.parameter, run.In(step.gradient),
                     run.Out(step.velocity), run.Out(step.weight));
  }};
}

Compiled Compile(const step::AverageUpdate& step, const StepValues& context) {
  return Kernel{[step, count = context.shape(step.weight).size()](const Run& run) {
    return AverageUpdate(On(run), count, run.arguments().state, run.In(step.weight),
                         run.Out(step.average));
  }};
}

Compiled Compile(const step::CopyUpdated& step, const StepValues& context) {
  return Kernel{[step, count = context.shape(step.y).size()](const Run& run) {
    return CopyUpdated(On(run), count, run.arguments().state, run.In(step.x), run.Out(step.y));
  }};
}

}  // namespace ninc::cuda
