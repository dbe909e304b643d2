// Compiling: graph -> forward steps -> loss and backward steps -> joined steps -> a kernel for each
// -> places in memory. Steps are joined in an order that matters: pools first, as a chain ends with
// one; chains before gradients; pointwise gradients last, after the batch norms that take part of
// theirs. After that everything is settled: a run decides nothing and allocates nothing.
#include "ninc/plan.h"

#include <atomic>
#include <utility>

#include "compile/autodiff.h"
#include "compile/execute.h"
#include "compile/fuse/fuse.h"
#include "compile/lower.h"
#include "compile/plan/plan_impl.h"
#include "compile/update.h"

namespace ninc {

namespace {

// An estimate: the function that a kernel runs holds a copy of its step, and most of its texts are
// so short that they need no memory of their own.
size_t BytesOf(const std::vector<Kernel>& kernels) {
  constexpr size_t kCandidates = 3;  // of a choice
  size_t bytes = 0;
  for (const Kernel& kernel : kernels) {
    bytes += sizeof(Kernel) + sizeof(Step) + kernel.packings.size() * 2 * sizeof(Packing) +
             kernel.kind.size() + kernel.layers.size() * sizeof(std::string) +
             kernel.convolutions.size() *
                 (sizeof(ConvolutionChoice) + kCandidates * sizeof(Conv2dEstimate));
  }
  return bytes;
}

// Shards of one size are computed with the same weights: the first one's run packs them for all.
void KeepPackedWeights(Program* program) {
  for (const Step& step : program->steps) {
    const auto* pack = std::get_if<step::PackWeights>(&step.op);
    if (pack != nullptr) program->values[pack->packed].lasting = true;
  }
}

}  // namespace

size_t Plan::Impl::OwnBytes() const {
  // A step's operands and nodes are a few words beside it.
  return sizeof(Plan) + sizeof(Impl) + program.steps.size() * sizeof(Step) + BytesOf(kernels) +
         BytesOf(update.limit) + BytesOf(update.clipped_limit) + BytesOf(update.weights) +
         BytesOf(update.statistics) + BytesOf(update.averages) + BytesOf(update.add_shard) +
         BytesOf(update.add_sums) + BytesOf(update.take_sum) +
         program.values.size() * (sizeof(Value) + sizeof(size_t)) +
         program.prepared.size() * sizeof(Prepared);
}

RunLayout Plan::Impl::LayoutOf(int threads) const {
  RunLayout run{.threads = threads};
  const auto place = [&](size_t bytes) {
    return std::exchange(run.bytes, run.bytes + WorkspaceSize::Aligned(bytes));
  };
  place(layout.bytes);
  run.workspace = place(workspace.Total(threads));
  if (!backend->SharesMemory()) {
    run.input = place(static_cast<size_t>(input.size()) * sizeof(float));
    if (options.mode == Mode::kInference) {
      run.scale = place(static_cast<size_t>(input.c) * sizeof(float));
      run.shift = place(static_cast<size_t>(input.c) * sizeof(float));
      run.outputs = place(program.output_bytes);
    }
  }
  return run;
}

Result<std::shared_ptr<const Plan>> CompilePlan(std::shared_ptr<const Graph> graph,
                                                const Shape& input, const PlanOptions& options,
                                                std::shared_ptr<Backend> backend, Target target) {
  static std::atomic<uint64_t> next_id{1};
  auto impl = std::make_unique<Plan::Impl>();
  // Kernels are made for the target and keep it.
  const Backend& compiler = backend->SharesMemory() ? CpuBackend(target) : *backend;
  NINC_ASSIGN_OR_RETURN(impl->program, Lower(*graph, input, options));
  Update<Step> update;
  if (options.mode == Mode::kTraining) {
    NINC_RETURN_IF_ERROR(
        AppendLossAndBackward(options, &impl->program).At(graph->Label(options.output)));
    update = UpdateSteps(*graph, options, &impl->program);
    if (options.sync_batch_norm) PartBatchNorms(&impl->program);
  }
  FuseTrainingPools(compiler, &impl->program);
  FuseMlpConvs(compiler, &impl->program);
  FuseGradients(&impl->program);
  FuseBatchNorms(compiler, &impl->program);
  FusePointwiseGradients(compiler, &impl->program);
  NINC_ASSIGN_OR_RETURN(impl->kernels,
                        CompileSteps(compiler, *graph, impl->program.steps, &impl->program));
  // Where shards wait for one another, each has memory of its own and packs for itself.
  if (options.shards && !options.sync_batch_norm) KeepPackedWeights(&impl->program);
  impl->layout = PlanMemory(impl->program);
  impl->workspace = LargestWorkspace(impl->kernels);
  const auto compile = [&](const std::vector<Step>& steps, std::vector<Kernel>* kernels) -> Status {
    NINC_ASSIGN_OR_RETURN(*kernels, CompileSteps(compiler, *graph, steps, &impl->program));
    impl->workspace = impl->workspace.Max(LargestWorkspace(*kernels));
    return {};
  };
  NINC_RETURN_IF_ERROR(compile(update.limit, &impl->update.limit));
  NINC_RETURN_IF_ERROR(compile(update.clipped_limit, &impl->update.clipped_limit));
  NINC_RETURN_IF_ERROR(compile(update.weights, &impl->update.weights));
  NINC_RETURN_IF_ERROR(compile(update.statistics, &impl->update.statistics));
  NINC_RETURN_IF_ERROR(compile(update.averages, &impl->update.averages));
  NINC_RETURN_IF_ERROR(compile(update.add_shard, &impl->update.add_shard));
  NINC_RETURN_IF_ERROR(compile(update.add_sums, &impl->update.add_sums));
  NINC_RETURN_IF_ERROR(compile(update.take_sum, &impl->update.take_sum));
  for (const Kernel& kernel : impl->kernels) impl->flops += kernel.Flops();
  impl->graph = std::move(graph);
  impl->backend = std::move(backend);
  impl->id = next_id++;
  impl->options = options;
  impl->input = input;
  impl->target = target;
  return std::shared_ptr<const Plan>(std::make_shared<Plan>(std::move(impl)));
}

Plan::Plan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Plan::~Plan() = default;
const Shape& Plan::input_shape() const { return impl_->input; }
const Shape& Plan::output_shape() const { return output_shapes().front(); }
const std::vector<Shape>& Plan::output_shapes() const { return impl_->program.output_shapes; }
const PlanOptions& Plan::options() const { return impl_->options; }
double Plan::Flops() const { return impl_->flops; }
size_t Plan::ArenaBytes() const { return impl_->layout.bytes; }

size_t Plan::PackedBytes() const {
  size_t bytes = 0;
  for (const Prepared& prepared : impl_->program.prepared) bytes += prepared.bytes;
  return bytes;
}

}  // namespace ninc
