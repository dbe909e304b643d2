// Plan::Describe: the table that says what runs.
#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "compile/execute.h"
#include "compile/plan/plan_impl.h"
#include "ops/ops.h"

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

// "winograd F(4×4, 5×5) 8×48, 2 matrix product 8×48"; empty for what is no convolution.
std::string AlgorithmsOf(const Kernel& kernel) {
  std::string text, last;
  int repeats = 0;
  const auto flush = [&] {
    if (repeats == 0) return;
    text += text.empty() ? "" : ", ";
    text += (repeats > 1 ? std::to_string(repeats) + " " : "") + last;
  };
  for (const ConvolutionChoice& choice : kernel.convolutions) {
    if (choice.algorithm != last) {
      flush();
      repeats = 0;
      last = choice.algorithm;
    }
    ++repeats;
  }
  flush();
  return text;
}

Row<kStepColumns> StepRow(const Plan::Impl& plan, size_t index) {
  const Step& step = plan.program.steps[index];
  const StepSummary summary = std::visit([](const auto& op) { return op.summary(); }, step.op);
  const Kernel& kernel = plan.kernels[index];
  std::string layers;
  for (const std::string& layer : kernel.layers) layers += (layers.empty() ? "" : ", ") + layer;
  // Packed weights have no shape, only bytes.
  const bool bytes_alone = std::holds_alternative<step::PackWeights>(step.op);
  size_t packed_bytes = 0;
  const std::vector<ValueId> packed = PackedWeightsOf(step.op);
  for (const ValueId value : packed) packed_bytes += plan.program.values[value].bytes;
  const double flops = kernel.Flops();
  return {kernel.kind,
          layers,
          AlgorithmsOf(kernel),
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

using ChoiceRow = Row<kChoiceColumns>;

// A row for each convolution of a step whose algorithm was chosen among several.
void AddChoices(const Step& step, const Kernel& kernel, const Graph& graph,
                std::vector<ChoiceRow>& rows) {
  std::vector<std::string> layers;
  for (const NodeId id : step.nodes) {
    const Node& node = graph.node(id);
    if (IsConvolution(node.op)) layers.push_back(node.name);
  }
  for (const ConvolutionChoice& choice : kernel.convolutions) {
    const std::vector<Conv2dEstimate>& weighed = choice.candidates;
    if (weighed.empty()) continue;
    const bool alone = weighed.size() == 1;
    rows.push_back({choice.layer < layers.size() ? layers[choice.layer] : "", Name(choice.pass),
                    weighed[0].algorithm, choice.block, Milliseconds(weighed[0]),
                    alone ? "" : weighed[1].algorithm, alone ? "" : Milliseconds(weighed[1])});
  }
}

std::string ChoiceTable(const Plan::Impl& plan) {
  std::vector<ChoiceRow> rows{{"convolution", "pass", "chosen", "block", "ms", "next best", "ms"}};
  for (size_t i = 0; i < plan.kernels.size(); ++i) {
    AddChoices(plan.program.steps[i], plan.kernels[i], *plan.graph, rows);
  }
  if (rows.size() == 1) return "";
  return "cost model: ms of one core, less what all algorithms do alike\n" +
         Table(rows, {false, false, false, false, true, false, true});
}

std::string AllOf(const std::vector<Shape>& shapes) {
  std::string text;
  for (const Shape& shape : shapes) text += (text.empty() ? "" : " and ") + shape.ToString();
  return text;
}

}  // namespace

std::string Plan::Describe() const {
  const bool training = options().mode == Mode::kTraining;
  const bool here = impl_->backend->SharesMemory();  // the processor, with threads
  std::string text = std::string(training ? "training" : "inference") + ", input " +
                     input_shape().ToString() + ", output " + AllOf(output_shapes()) + ", " +
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
  return text + "\n" + ChoiceTable(*impl_);
}

}  // namespace ninc
