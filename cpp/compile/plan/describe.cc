// Plan::Describe: the table that says what runs.
#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "compile/execute.h"
#include "compile/plan/choices.h"
#include "compile/plan/plan_impl.h"

namespace ninc {
namespace {

constexpr size_t kStepColumns = 6, kChoiceColumns = 7;
template <size_t kColumns>
using Row = std::array<std::string, kColumns>;

std::string Format(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

std::string Megabytes(size_t bytes) { return Format("%.2f MB", static_cast<double>(bytes) / 1e6); }
std::string Megaflops(double flops) { return Format("%.1f", flops / 1e6); }

std::string Milliseconds(const Conv2dEstimate& estimate) {
  return Format("%.3f", estimate.nanoseconds / 1e6);
}

std::string Name(const Activation& activation) {
  switch (activation.kind) {
    case Activation::Kind::kNone:
      return "";
    case Activation::Kind::kRelu:
      return "relu";
    case Activation::Kind::kRelu6:
      return "relu6";
  }
  return "";
}

std::string Name(TrainingPoolProblem::Kind kind) {
  return kind == TrainingPoolProblem::Kind::kMax ? "max_pool2d" : "avg_pool2d";
}

std::string Name(Precision precision) {
  switch (precision) {
    case Precision::kFloat32:
      return "float32";
    case Precision::kStrict:
      return "strict float32";
    case Precision::kFast:
      return "fast";
  }
  return "";
}

// "conv2d" -> "conv2d + relu"
std::string With(const std::string& name, const Activation& activation) {
  return activation == Activation{} ? name : name + " + " + Name(activation);
}

// Name, result and arithmetic of each kind of step.
struct Summary {
  std::string name;
  ValueId result;
  std::string shape = {};  // where the value's own says little
};

struct Summarise {
  Summary operator()(const step::FromNchw& s) const { return {"from nchw", s.y}; }
  Summary operator()(const step::ToNchw& s) const { return {"to nchw", s.y}; }
  Summary operator()(const step::PackWeights& s) const { return {"pack weights", s.packed}; }
  Summary operator()(const step::Conv2d& s) const {
    const char* name = s.bias == kNoValue ? "conv2d" : "conv2d + bias";
    return {With(name, s.activation), s.y};
  }
  Summary operator()(const step::MlpConv& s) const {
    const char* pooled = s.problem.tail == MlpConvProblem::Tail::kNone ? "" : " + pool";
    const char* dropped = s.training && s.training->dropout != 0.0f ? " + dropout" : "";
    return {std::string("mlpconv") + pooled + dropped, s.y};
  }
  Summary operator()(const step::ActivationForward& s) const { return {Name(s.activation), s.y}; }
  Summary operator()(const step::MaxPool2d& s) const { return {"max_pool2d", s.y}; }
  Summary operator()(const step::AvgPool2d& s) const { return {"avg_pool2d", s.y}; }
  Summary operator()(const step::GlobalAvgPool2d& s) const { return {"global_avg_pool2d", s.y}; }
  Summary operator()(const step::TrainingPool& s) const {
    return {Name(s.problem.kind) + (s.problem.dropout == 0.0f ? "" : " + dropout"), s.y};
  }
  Summary operator()(const step::Dropout& s) const { return {"dropout", s.y}; }
  Summary operator()(const step::FoldNorm& s) const { return {"fold batch_norm2d", s.scale}; }
  Summary operator()(const step::ScaleShift& s) const {
    return {With(s.shift == kNoValue ? "scale" : "scale, shift", s.activation), s.y};
  }
  Summary operator()(const step::BatchNorm& s) const {
    return {With("batch_norm2d", s.activation), s.y};
  }
  Summary operator()(const step::NormConv2d& s) const {
    const std::string source = s.source ? With("normalize", s.source->activation) + " + " : "";
    const char* bias = s.bias == kNoValue ? "" : " + bias";
    return {source + "conv2d" + bias + " + statistics", s.y};
  }
  Summary operator()(const step::Normalize& s) const {
    return {With("normalize", s.norm.activation), s.y};
  }
  Summary operator()(const step::Add& s) const { return {With("add", s.activation), s.y}; }
  Summary operator()(const step::CopyChannels& s) const { return {"copy channels", s.y}; }
  Summary operator()(const step::Softmax& s) const { return {"softmax", s.y}; }
  Summary operator()(const step::SoftmaxCrossEntropy& s) const {
    return {"softmax cross entropy", s.dlogits};
  }
  Summary operator()(const step::Conv2dBackwardData& s) const {
    const char* masked = s.x == kNoValue ? "" : " + activation backward";
    return {std::string("conv2d backward data") + masked, s.dx};
  }
  Summary operator()(const step::Conv2dBackwardWeights& s) const {
    const Conv2dProblem& p = s.problem;
    const char* and_bias = s.dbias == kNoValue ? "" : " and bias";
    return {std::string("conv2d backward weights") + and_bias, s.dweight,
            DimsToString({p.out_channels, p.group_in(), p.kernel_h, p.kernel_w})};
  }
  Summary operator()(const step::PointwiseBackward& s) const {
    return {s.norms ? "batch_norm2d and 1×1 convolution backward" : "1×1 convolutions backward",
            s.dx};
  }
  Summary operator()(const step::ActivationBackward& s) const {
    if (s.dx == kNoValue) return {"bias backward", s.dbias};
    return {std::string("activation") + (s.dbias == kNoValue ? "" : " and bias") + " backward",
            s.dx};
  }
  Summary operator()(const step::MaxPool2dBackward& s) const {
    return {"max_pool2d backward", s.dx};
  }
  Summary operator()(const step::AvgPool2dBackward& s) const {
    return {"avg_pool2d backward", s.dx};
  }
  Summary operator()(const step::TrainingPoolBackward& s) const {
    const std::string drop = s.problem.dropout == 0.0f ? "" : "dropout + ";
    const bool masked = s.problem.activation != Activation{};
    return {drop + Name(s.problem.kind) + (masked ? " + activation" : "") + " backward", s.dx};
  }
  Summary operator()(const step::GlobalAvgPool2dBackward& s) const {
    return {"global_avg_pool2d backward", s.dx};
  }
  Summary operator()(const step::BatchNormBackward& s) const {
    return {"batch_norm2d backward", s.dx};
  }
  Summary operator()(const step::NormBackward& s) const {
    if (s.dx == kNoValue) return {"batch_norm2d parameters backward", s.values.dweight};
    return {s.sums ? "batch_norm2d backward" : "batch_norm2d data backward", s.dx};
  }
  Summary operator()(const step::SoftmaxBackward& s) const { return {"softmax backward", s.dx}; }
  template <typename Other>
  Summary operator()(const Other&) const {  // of the update, which is not in the table
    return {"update", kNoValue};
  }
};

Row<kStepColumns> StepRow(const Plan::Impl& plan, size_t index) {
  const Step& step = plan.program.steps[index];
  const Summary summary = std::visit(Summarise{}, step.op);
  std::string layers;
  for (NodeId node : step.nodes)
    layers += (layers.empty() ? "" : ", ") + plan.graph->node(node).name;
  // Packed weights have no shape, only bytes.
  const bool bytes_alone = std::holds_alternative<step::PackWeights>(step.op);
  size_t packed_bytes = 0;
  const std::vector<ValueId> packed = PackedWeightsOf(step.op);
  for (const ValueId value : packed) packed_bytes += plan.program.values[value].bytes;
  const double flops = FlopsOf(plan.kernels[index]);
  return {summary.name,
          layers,
          AlgorithmsOf(plan.kernels[index]),
          !summary.shape.empty() || bytes_alone
              ? summary.shape
              : plan.program.values[summary.result].shape.ToString(),
          flops == 0 ? std::string() : Megaflops(flops),
          packed.empty() ? std::string() : Megabytes(packed_bytes)};
}

// Characters on the screen: bytes that do not continue a UTF-8 sequence.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

// Columns of numbers are set to the right.
template <size_t kColumns>
std::string Table(const std::vector<Row<kColumns>>& rows, std::array<bool, kColumns> numbers) {
  std::array<size_t, kColumns> widths{};
  for (const Row<kColumns>& row : rows) {
    for (size_t c = 0; c < kColumns; ++c) widths[c] = std::max(widths[c], Width(row[c]));
  }
  std::string table;
  for (const Row<kColumns>& row : rows) {
    std::string line;
    for (size_t c = 0; c < kColumns; ++c) {
      const std::string space(widths[c] - Width(row[c]), ' ');
      line += (c == 0 ? "" : "  ") + (numbers[c] ? space + row[c] : row[c] + space);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    table += line + "\n";
  }
  return table;
}

std::string Name(Pass pass) {
  switch (pass) {
    case Pass::kForward:
      return "forward";
    case Pass::kBackwardData:
      return "backward data";
    case Pass::kBackwardWeights:
      return "backward weights";
  }
  return "";
}

std::string ChoiceTable(const std::vector<LayerChoice>& choices) {
  if (choices.empty()) return "";
  std::vector<Row<kChoiceColumns>> rows{
      {"convolution", "pass", "chosen", "block", "ms", "next best", "ms"}};
  for (const auto& [layer, choice] : choices) {
    const std::vector<Conv2dEstimate>& weighed = choice->candidates;
    const bool alone = weighed.size() == 1;
    rows.push_back({layer, Name(choice->pass), weighed[0].algorithm, choice->block,
                    Milliseconds(weighed[0]), alone ? "" : weighed[1].algorithm,
                    alone ? "" : Milliseconds(weighed[1])});
  }
  return "cost model: ms of one core, less what all algorithms do alike\n" +
         Table(rows, {false, false, false, false, true, false, true});
}

}  // namespace

std::string Plan::Describe() const {
  const bool training = options().mode == Mode::kTraining;
  const bool here = impl_->backend->SharesMemory();  // the processor, with threads
  std::string text = std::string(training ? "training" : "inference") + ", input " +
                     input_shape().ToString() + ", output " + output_shape().ToString() + ", " +
                     Name(options().precision) + " on " + std::string(impl_->backend->name()) +
                     (here ? " (" + std::string(TargetName(impl_->target)) + ")" : "") + "\n";
  std::vector<Row<kStepColumns>> rows{
      {"step", "layers", "algorithm", "result", "MFLOP", "weights"}};
  for (size_t i = 0; i < impl_->program.steps.size(); ++i) rows.push_back(StepRow(*impl_, i));
  text += Table(rows, {false, false, false, false, true, true});
  text += std::to_string(impl_->program.steps.size()) + " steps, " + Megaflops(Flops()) +
          " MFLOP, arena " + Megabytes(ArenaBytes()) + ", scratch " +
          Megabytes(impl_->workspace.shared);
  if (here) text += " + " + Megabytes(impl_->workspace.per_thread) + " a thread";
  if (!training) text += ", packed weights " + Megabytes(PackedBytes());
  const int threads = impl_->backend->Threads();
  text += "; in all " + Megabytes(impl_->LayoutOf(threads).bytes + PackedBytes());
  if (here) text += " on " + std::to_string(threads) + (threads == 1 ? " thread" : " threads");
  std::vector<LayerChoice> choices;
  for (size_t i = 0; i < impl_->kernels.size(); ++i) {
    const auto more = ChoicesOf(impl_->program.steps[i], impl_->kernels[i], *impl_->graph);
    choices.insert(choices.end(), more.begin(), more.end());
  }
  return text + "\n" + ChoiceTable(choices);
}

}  // namespace ninc
