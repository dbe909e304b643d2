// One function a kind of step, which turns values into addresses and calls the backend: all that a
// step needs was settled when the plan was compiled.
#include "graph/execute.h"

#include <array>

namespace ninc {
namespace {

// The scratch memory of each kind of step; none for those that are not named.
struct StepWorkspace {
  const Program& program;
  const Backend& backend;
  const Shape& shape(ValueId v) const { return program.values[v].shape; }

  WorkspaceSize operator()(const step::Conv2d& s) const {
    return backend.Conv2dWorkspace(s.problem, Pass::kForward);
  }
  WorkspaceSize operator()(const step::MlpConv& s) const {
    return backend.MlpConvWorkspace(s.problem);
  }
  WorkspaceSize operator()(const step::Conv2dBackwardData& s) const {
    return backend.Conv2dWorkspace(s.problem, Pass::kBackwardData);
  }
  WorkspaceSize operator()(const step::Conv2dBackwardWeights& s) const {
    return backend.Conv2dWorkspace(s.problem, Pass::kBackwardWeights);
  }
  WorkspaceSize operator()(const step::PointwiseBackward& s) const {
    return backend.PointwiseBackwardWorkspace(s.problems);
  }
  WorkspaceSize operator()(const step::ActivationBackward& s) const {
    return backend.ActivationBackwardWorkspace(shape(s.dy).pixels(), shape(s.dy).c);
  }
  WorkspaceSize operator()(const step::BatchNorm& s) const {
    return backend.BatchNormWorkspace(shape(s.x).pixels(), shape(s.x).c);
  }
  WorkspaceSize operator()(const step::BatchNormBackward& s) const {
    return backend.BatchNormWorkspace(shape(s.x).pixels(), shape(s.x).c);
  }
  WorkspaceSize operator()(const step::NormConv2d& s) const {
    return backend.NormConv2dWorkspace(s.problem);
  }
  WorkspaceSize operator()(const step::NormBackward& s) const {
    return backend.BatchNormWorkspace(shape(s.values.z).pixels(), shape(s.values.z).c);
  }
  WorkspaceSize operator()(const step::SoftmaxCrossEntropy& s) const {
    return backend.SoftmaxCrossEntropyWorkspace(shape(s.logits).n);
  }
  template <typename Other>
  WorkspaceSize operator()(const Other&) const {
    return {};
  }
};

// One run: turns values into addresses and steps into calls of the backend.
class Execution {
 public:
  Execution(const Program& program, const MemoryLayout& layout, Backend& backend,
            const RunArguments& run)
      : program_(program), layout_(layout), backend_(backend), run_(run) {}

  Status operator()(const step::FromNchw& s) const {
    const Shape& to = shape(s.y);
    if (kind(s.x) == ValueKind::kInput && run_.pictures.data != nullptr) {
      const Pictures& from = run_.pictures;
      return backend_.FromUint8(to, from.data, from.scale, from.shift, Out(s.y), threads());
    }
    if (kind(s.x) == ValueKind::kInput) return backend_.FromNchw(to, run_.x, Out(s.y), threads());
    const StridedView x{In(s.x), {to.c * to.h * to.w, to.h * to.w, to.w, 1}};
    return backend_.FromNchw(to, x, Out(s.y), threads());
  }
  Status operator()(const step::ToNchw& s) const {
    return backend_.ToNchw(shape(s.x), In(s.x), Out(s.y), threads());
  }

  Status operator()(const step::PackWeights& s) const {
    return backend_.PackWeights(s.problem, s.pass, In(s.weight), nullptr, Out(s.packed), threads());
  }
  Status operator()(const step::Conv2d& s) const {
    return backend_.Conv2dForward(s.problem, In(s.x), In(s.packed), In(s.bias), s.activation,
                                  Out(s.y), run_.workspace);
  }
  Status operator()(const step::MlpConv& s) const {
    std::array<MlpConvLayer, MlpConvProblem::kMaxLayers> layers;
    for (size_t i = 0; i < s.layers.size(); ++i) {
      const step::MlpConv::Layer& layer = s.layers[i];
      layers[i] = {In(layer.packed), In(layer.bias), layer.kept ? Out(layer.y) : nullptr};
    }
    const MlpConvTail training{s.training ? &*s.training : nullptr, Key(), Bytes(s.trace)};
    return backend_.MlpConvForward(s.problem, In(s.x), layers.data(),
                                   s.training ? &training : nullptr, Out(s.y), run_.workspace);
  }
  Status operator()(const step::Conv2dBackwardData& s) const {
    return backend_.Conv2dBackwardData(s.problem, In(s.dy), In(s.packed), In(s.x), s.activation,
                                       Out(s.dx), run_.workspace);
  }
  Status operator()(const step::Conv2dBackwardWeights& s) const {
    return backend_.Conv2dBackwardWeights(s.problem, In(s.x), In(s.dy), Out(s.dweight),
                                          Out(s.dbias), run_.workspace);
  }
  Status operator()(const step::PointwiseBackward& s) const {
    std::array<PointwiseGradient, MlpConvProblem::kMaxLayers> layers;
    for (size_t i = 0; i < s.layers.size(); ++i) {
      const step::PointwiseBackward::Layer& layer = s.layers[i];
      layers[i] = {In(layer.x), In(layer.packed), layer.activation, Out(layer.dweight),
                   Out(layer.dbias)};
    }
    PointwiseNorms norms;
    if (s.norms) norms = {ToGradient(s.norms->behind), ToGradient(s.norms->ahead)};
    return backend_.PointwiseBackward(s.problems, In(s.dy), layers.data(),
                                      s.norms ? &norms : nullptr, Out(s.dx), run_.workspace);
  }

  Status operator()(const step::ActivationForward& s) const {
    return backend_.ActivationForward(shape(s.x).size(), s.activation, In(s.x), Out(s.y),
                                      threads());
  }
  Status operator()(const step::ActivationBackward& s) const {
    return backend_.ActivationBackward(shape(s.dy).pixels(), shape(s.dy).c, s.activation, In(s.dy),
                                       In(s.y), Out(s.dx), Out(s.dbias), run_.workspace);
  }

  Status operator()(const step::MaxPool2d& s) const {
    return backend_.MaxPool2dForward(s.problem, In(s.x), Out(s.y), threads());
  }
  Status operator()(const step::MaxPool2dBackward& s) const {
    return backend_.MaxPool2dBackward(s.problem, In(s.dy), In(s.x), Out(s.dx), threads());
  }
  Status operator()(const step::AvgPool2d& s) const {
    return backend_.AvgPool2dForward(s.problem, In(s.x), Out(s.y), threads());
  }
  Status operator()(const step::AvgPool2dBackward& s) const {
    return backend_.AvgPool2dBackward(s.problem, In(s.dy), Out(s.dx), threads());
  }
  Status operator()(const step::TrainingPool& s) const {
    return backend_.TrainingPoolForward(s.problem, Key(), In(s.x), Out(s.y), Bytes(s.trace),
                                        threads());
  }
  Status operator()(const step::TrainingPoolBackward& s) const {
    return backend_.TrainingPoolBackward(s.problem, Key() != nullptr, In(s.dy), Bytes(s.trace),
                                         Out(s.dx), threads());
  }
  Status operator()(const step::GlobalAvgPool2d& s) const {
    return backend_.GlobalAvgPool2dForward(shape(s.x), In(s.x), Out(s.y), threads());
  }
  Status operator()(const step::GlobalAvgPool2dBackward& s) const {
    return backend_.GlobalAvgPool2dBackward(shape(s.dx), In(s.dy), Out(s.dx), threads());
  }

  Status operator()(const step::Dropout& s) const {
    const float p = run_.dropout ? s.p : 0.0f;
    return backend_.Dropout(shape(s.x).size(), p, s.layer, &run_.state->key, In(s.x), Out(s.y),
                            threads());
  }

  Status operator()(const step::FoldNorm& s) const {
    return backend_.FoldNorm(shape(s.scale).c,
                             {.weight = In(s.weight),
                              .bias = In(s.bias),
                              .mean = In(s.mean),
                              .var = In(s.var),
                              .eps = s.eps},
                             Out(s.scale), Out(s.shift));
  }
  Status operator()(const step::ScaleShift& s) const {
    return backend_.ScaleShift(shape(s.x).pixels(), shape(s.x).c, In(s.x), In(s.scale), In(s.shift),
                               s.activation, Out(s.y), threads());
  }
  Status operator()(const step::BatchNorm& s) const {
    const int64_t channels = shape(s.x).c;
    // The kernel updates statistics where they stand: on copies, so that a step that is not applied
    // (a gradient check, a failure) leaves the model as it was.
    NINC_RETURN_IF_ERROR(CopyRow(channels, s.running_mean, s.new_mean));
    NINC_RETURN_IF_ERROR(CopyRow(channels, s.running_var, s.new_var));
    return backend_.BatchNormForward(
        shape(s.x).pixels(), channels, In(s.x), In(s.weight), In(s.bias), s.eps,
        run_.norm_momentum.value_or(s.momentum), s.activation, Out(s.new_mean), Out(s.new_var),
        Out(s.save_mean), Out(s.save_inv_std), Out(s.y), run_.workspace);
  }
  Status operator()(const step::BatchNormBackward& s) const {
    return backend_.BatchNormBackward(shape(s.x).pixels(), shape(s.x).c, In(s.dy), In(s.x), In(s.y),
                                      s.activation, In(s.weight), In(s.save_mean),
                                      In(s.save_inv_std), Out(s.dx), Out(s.dweight), Out(s.dbias),
                                      run_.workspace);
  }

  Status operator()(const step::NormConv2d& s) const {
    const int64_t channels = shape(s.y).c;
    NINC_RETURN_IF_ERROR(CopyRow(channels, s.running_mean, s.new_mean));
    NINC_RETURN_IF_ERROR(CopyRow(channels, s.running_var, s.new_var));
    const Normalization source = s.source ? ToNormalization(*s.source) : Normalization{};
    return backend_.NormConv2dForward(s.problem, In(s.x), s.source ? &source : nullptr,
                                      In(s.packed), In(s.bias), Out(s.y),
                                      {.weight = In(s.weight),
                                       .eps = s.eps,
                                       .momentum = run_.norm_momentum.value_or(s.momentum),
                                       .running_mean = Out(s.new_mean),
                                       .running_var = Out(s.new_var),
                                       .mean = Out(s.mean),
                                       .inv_std = Out(s.inv_std),
                                       .scale = Out(s.scale)},
                                      run_.workspace);
  }
  Status operator()(const step::Normalize& s) const {
    return backend_.Normalize(shape(s.z).pixels(), shape(s.z).c, In(s.z), ToNormalization(s.norm),
                              Out(s.y), threads());
  }
  Status operator()(const step::NormBackward& s) const {
    const Shape& z = shape(s.values.z);
    return backend_.NormBackward(z.pixels(), z.c, In(s.dy), ToGradient(s.values), s.sums, Out(s.dx),
                                 run_.workspace);
  }

  Status operator()(const step::Add& s) const {
    return backend_.Add(shape(s.y).size(), In(s.a), In(s.b), s.activation, Out(s.y), threads());
  }
  Status operator()(const step::CopyChannels& s) const {
    return backend_.CopyChannels(shape(s.x).pixels(), s.channels, In(s.x), shape(s.x).c, s.x_offset,
                                 Out(s.y), shape(s.y).c, s.y_offset, threads());
  }

  Status operator()(const step::Softmax& s) const {
    return backend_.SoftmaxForward(shape(s.x).pixels(), shape(s.x).c, In(s.x), Out(s.y), threads());
  }
  Status operator()(const step::SoftmaxBackward& s) const {
    return backend_.SoftmaxBackward(shape(s.y).pixels(), shape(s.y).c, In(s.dy), In(s.y), Out(s.dx),
                                    threads());
  }
  Status operator()(const step::SoftmaxCrossEntropy& s) const {
    return backend_.SoftmaxCrossEntropy(shape(s.logits).n, shape(s.logits).c, In(s.logits),
                                        run_.labels, s.smoothing, &run_.state->loss,
                                        &run_.state->correct, Out(s.dlogits), run_.workspace);
  }

 private:
  int threads() const { return run_.workspace.threads(); }
  const Shape& shape(ValueId v) const { return program_.values[v].shape; }
  ValueKind kind(ValueId v) const { return program_.values[v].kind; }

  const float* In(ValueId v) const {
    if (v == kNoValue) return nullptr;
    const Value& value = program_.values[v];
    if (value.kind == ValueKind::kParameter) return run_.parameters->data(value.index);
    if (value.kind == ValueKind::kPrepared) {
      const std::byte* block = run_.prepared->blocks[value.index]->data();
      return reinterpret_cast<const float*>(block + value.offset);
    }
    return Out(v);
  }
  float* Out(ValueId v) const {
    if (v == kNoValue) return nullptr;
    if (kind(v) == ValueKind::kOutput) return run_.y;
    return reinterpret_cast<float*>(run_.arena + layout_.offsets[v]);
  }

  uint8_t* Bytes(ValueId v) const { return reinterpret_cast<uint8_t*>(Out(v)); }
  // Of a training step's random numbers; null where nothing is dropped.
  const DropoutKey* Key() const {
    return run_.state != nullptr && run_.dropout ? &run_.state->key : nullptr;
  }
  Normalization ToNormalization(const step::Norm& norm) const {
    return {In(norm.mean), In(norm.scale), In(norm.bias), norm.activation};
  }
  NormGradient ToGradient(const step::NormValues& values) const {
    return {In(values.z), ToNormalization(values.norm), In(values.inv_std), Out(values.dweight),
            Out(values.dbias)};
  }

  Status CopyRow(int64_t count, ValueId from, ValueId to) const {
    return backend_.CopyChannels(1, count, In(from), count, 0, Out(to), count, 0, threads());
  }

  const Program& program_;
  const MemoryLayout& layout_;
  Backend& backend_;
  const RunArguments& run_;
};

}  // namespace

WorkspaceSize LargestWorkspace(const Program& program, const Backend& backend) {
  WorkspaceSize size;
  for (const Step& step : program.steps) {
    size = size.Max(std::visit(StepWorkspace{program, backend}, step.op));
  }
  return size;
}

Status Execute(const Program& program, const MemoryLayout& layout, Backend& backend,
               const RunArguments& arguments) {
  return ExecuteSteps(program, layout, backend, arguments, 0, program.steps.size());
}

Status ExecuteSteps(const Program& program, const MemoryLayout& layout, Backend& backend,
                    const RunArguments& arguments, size_t begin, size_t end) {
  const Execution execution(program, layout, backend, arguments);
  for (size_t i = begin; i < end; ++i) {
    NINC_RETURN_IF_ERROR(std::visit(execution, program.steps[i].op));
  }
  return {};
}

}  // namespace ninc
