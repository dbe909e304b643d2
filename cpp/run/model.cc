// A model: its parameters, its plans by shape, and runs of them from any number of threads.
#include "ninc/model.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "base/threads/cancel.h"
#include "base/memory_limit.h"
#include "compile/plan/plan_impl.h"
#include "run/check_arguments.h"
#include "run/model_impl.h"
#include "run/staging.h"

namespace ninc {
namespace {

int64_t Size(const std::vector<int64_t>& dims) {
  int64_t size = 1;
  for (int64_t dim : dims) size *= dim;
  return size;
}

// A GPU has no target: its plans outlive a change.
PlanKey KeyOf(const Placement& place, const Shape& input, const PlanOptions& options,
              Target target) {
  return {input, options, place.backend->SharesMemory() ? target : Target{}};
}

}  // namespace

Result<PlanOptions> Model::Impl::OptionsFor(std::span<const NodeId> outputs) const {
  if (outputs.empty()) outputs = graph->outputs();
  for (NodeId output : outputs) NINC_RETURN_IF_ERROR(CheckIsNode(*graph, output));
  return PlanOptions{.output = outputs.front(),
                     .more_outputs = NodeList(std::vector(outputs.begin() + 1, outputs.end()))};
}

// ---- Plans --------------------------------------------------------------------------------------

Result<std::shared_ptr<const Plan>> Model::Impl::PlanFor(Placement& place, const Shape& input,
                                                         const PlanOptions& wanted, Target target) {
  NINC_RETURN_IF_ERROR(CheckPlanOptions(*graph, wanted));
  const PlanOptions options = Resolve(wanted);
  const PlanKey key = KeyOf(place, input, options, target);
  if (std::shared_ptr<const Plan> plan = place.plans.Find(key)) return plan;
  // Compiled outside of any lock: other threads' runs go on.
  NINC_ASSIGN_OR_RETURN(std::shared_ptr<const Plan> plan,
                        CompilePlan(graph, input, options, place.backend, target));
  plan = place.plans.Insert(key, std::move(plan));
  place.Trim(cache_limit);
  return plan;
}

Result<std::shared_ptr<const PreparedSet>> Model::Impl::PreparedFor(Placement& place,
                                                                    const Plan::Impl& plan,
                                                                    ModelState* used) {
  PreparedSlot& slot = plan.prepared;
  if (used == nullptr) {
    const std::lock_guard slot_lock(slot.mutex);
    if (slot.set != nullptr && slot.set->version == version) return slot.set;
  }
  // What is packed in part would be taken for whole later.
  const CancellationScope whole(nullptr);
  std::shared_ptr<const PreparedSet> set;
  {
    NINC_ASSIGN_OR_RETURN(const auto lock, LockFetchedState());
    // Another thread may have made it meanwhile.
    const std::lock_guard slot_lock(slot.mutex);
    if (slot.set == nullptr || slot.set->version != version) {
      NINC_RETURN_IF_ERROR(parameters.MakeReady(place.backend, place.backend.get(), "parameters"));
      NINC_ASSIGN_OR_RETURN(slot.set,
                            place.prepared.Make(plan.program, parameters, version, *place.backend));
    }
    set = slot.set;
    if (used != nullptr) *used = StateNow();
  }
  place.Trim(cache_limit);
  return set;
}

Status Model::Impl::Run(Placement& place, const Plan::Impl& plan, const PreparedSet& prepared,
                        const StridedView& x, const Pictures& pictures, float* const* y) {
  const RunLayout layout = plan.LayoutOf(plan.backend->Threads());  // threads may change meanwhile
  NINC_ASSIGN_OR_RETURN(const ArenaPool::Lease arena, place.arenas.Acquire(layout.bytes));
  Backend& stream = arena.stream();
  RunArguments run{.x = x,
                   .pictures = pictures,
                   .prepared = &prepared,
                   .arena = arena.data(),
                   .workspace = plan.WorkspaceIn(arena.data(), layout),
                   .outputs = y};
  if (stream.SharesMemory()) {
    return Execute(plan.kernels, {plan.program, plan.layout, stream, run});
  }
  uint64_t variant = 2 * prepared.version;
  if (pictures.data != nullptr) {
    ++variant;
    NINC_RETURN_IF_ERROR(WritePictures(stream, plan.input, arena.data(), layout, &run.pictures));
  } else {
    NINC_RETURN_IF_ERROR(WriteInput(stream, plan.input, x, arena.data() + layout.input, &run.x));
  }
  run.outputs = nullptr;
  run.output_memory = arena.data() + layout.outputs;
  if (IsCancelled()) return Cancelled();  // what a device has recorded asks nobody
  NINC_RETURN_IF_ERROR(stream.Replay({plan.id, variant}, [&] {
    return Execute(plan.kernels, {plan.program, plan.layout, stream, run});
  }));
  for (const Value& value : plan.program.values) {
    if (value.kind != ValueKind::kOutput) continue;
    const auto bytes = static_cast<size_t>(value.shape.size()) * sizeof(float);
    NINC_RETURN_IF_ERROR(stream.Read(y[value.index], run.output_memory + value.offset, bytes));
  }
  return {};
}

Status Model::Impl::PlanAndRun(const Shape& input, const StridedView& x, const Pictures& pictures,
                               float* const* y, const PlanOptions& options, ModelState* used) {
  const std::shared_ptr<Placement> place = placement();
  NINC_ASSIGN_OR_RETURN(const std::shared_ptr<const Plan> plan,
                        PlanFor(*place, input, options, ChosenTarget()));
  if (plan->output_shape().size() == 0 && used == nullptr) return {};
  NINC_ASSIGN_OR_RETURN(const std::shared_ptr<const PreparedSet> set,
                        PreparedFor(*place, plan->impl(), used));
  if (plan->output_shape().size() == 0) return {};
  NINC_RETURN_IF_ERROR(Run(*place, plan->impl(), *set, x, pictures, y));
  place->Trim(cache_limit);
  return {};
}

// Addresses differ from call to call, so nothing is recorded.
Status Model::Impl::RunThere(Placement& place, const Plan::Impl& plan, const PreparedSet& prepared,
                             const StridedView& x, float* const* y) {
  const RunLayout layout = plan.LayoutOf(plan.backend->Threads());
  NINC_ASSIGN_OR_RETURN(const ArenaPool::Lease arena, place.arenas.Acquire(layout.bytes));
  const RunArguments run{.x = x,
                         .prepared = &prepared,
                         .arena = arena.data(),
                         .workspace = plan.WorkspaceIn(arena.data(), layout),
                         .outputs = y};
  const Status run_status = Execute(plan.kernels, {plan.program, plan.layout, arena.stream(), run});
  // After an error, too: what was queued before it still writes to y.
  NINC_RETURN_IF_ERROR(arena.stream().Synchronize());
  return run_status;
}

// ---- The public face ----------------------------------------------------------------------------

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;

Result<std::shared_ptr<Model>> Model::Create(Graph graph) {
  if (graph.nodes().empty()) return InvalidModel("the network has no nodes");
  auto impl = std::make_unique<Impl>();
  impl->specs = graph.ParameterSpecs();
  NINC_ASSIGN_OR_RETURN(std::shared_ptr<Backend> cpu, OpenDevice("cpu"));
  impl->current = std::make_shared<Placement>(std::move(cpu));
  uint64_t floats = 0;
  for (const ParameterSpec& spec : impl->specs) floats += static_cast<uint64_t>(Size(spec.dims));
  NINC_RETURN_IF_ERROR(CheckMemory("parameters", floats * sizeof(float)));
  try {
    std::vector<Tensor> parameters;
    for (size_t i = 0; i < impl->specs.size(); ++i) {
      const ParameterSpec& spec = impl->specs[i];
      impl->numbers.emplace(spec.name, i);
      const auto size = static_cast<size_t>(Size(spec.dims));
      parameters.push_back({spec.dims, std::vector<float>(size, spec.initial)});
    }
    impl->parameters = DeviceTensors(std::move(parameters));
  } catch (const std::bad_alloc&) {
    return OutOfMemory("parameters: no memory for " + std::to_string(floats * sizeof(float)) +
                       " bytes");
  }
  impl->graph = std::make_shared<const Graph>(std::move(graph));
  return std::shared_ptr<Model>(new Model(std::move(impl)));
}

const Graph& Model::graph() const { return *impl_->graph; }
const std::vector<ParameterSpec>& Model::specs() const { return impl_->specs; }
uint64_t Model::version() const { return impl_->version; }

Result<size_t> Model::FindParameter(std::string_view name) const {
  const auto found = impl_->numbers.find(name);
  if (found != impl_->numbers.end()) return found->second;
  return InvalidArgument("the network has no parameter '" + std::string(name) + "'");
}

Status Model::SetParameters(std::vector<std::pair<std::string, std::vector<float>>> values) {
  return CatchOutOfMemory("parameters", [&]() -> Status {
    // All that takes memory is done before the first array is replaced.
    std::map<size_t, std::shared_ptr<Tensor>> arrays;
    for (auto& [name, data] : values) {
      NINC_ASSIGN_OR_RETURN(const size_t number, FindParameter(name));
      if (arrays.contains(number)) {
        return InvalidArgument(name + " is given twice; it can have one value");
      }
      const std::vector<int64_t>& dims = impl_->specs[number].dims;
      if (data.size() != static_cast<size_t>(Size(dims))) {
        return InvalidShape(name + ": expected " + std::to_string(Size(dims)) + " values (" +
                            DimsToString(dims) + "), got " + std::to_string(data.size()));
      }
      arrays[number] = std::make_shared<Tensor>(Tensor{dims, std::move(data)});
    }
    NINC_ASSIGN_OR_RETURN(const auto writer_lock, impl_->LockWriter());
    const std::lock_guard lock(impl_->state_mutex);
    NINC_RETURN_IF_ERROR(impl_->parameters.Fetch());
    for (auto& [number, array] : arrays) impl_->parameters.Replace(number, std::move(array));
    ++impl_->version;
    return {};
  });
}

Result<Shape> Model::OutputShape(const Shape& input, NodeId output) {
  return CatchOutOfMemory("shapes", [&]() -> Result<Shape> {
    NINC_RETURN_IF_ERROR(CheckOutput(*impl_->graph, output));
    const NodeId node = output < 0 ? impl_->graph->output() : output;
    const std::shared_ptr<Placement> place = impl_->placement();
    const PlanKey key = KeyOf(*place, input, impl_->Resolve({.output = node}), ChosenTarget());
    if (const auto plan = place->plans.Find(key)) return plan->output_shape();
    NINC_ASSIGN_OR_RETURN(const std::vector<Shape> shapes, impl_->graph->InferShapes(input, node));
    return shapes[node];
  });
}

Result<std::vector<Shape>> Model::OutputShapes(const Shape& input,
                                               std::span<const NodeId> outputs) {
  return CatchOutOfMemory("shapes", [&]() -> Result<std::vector<Shape>> {
    NINC_ASSIGN_OR_RETURN(PlanOptions options, impl_->OptionsFor(outputs));
    options = impl_->Resolve(options);
    const std::shared_ptr<Placement> place = impl_->placement();
    const PlanKey key = KeyOf(*place, input, options, ChosenTarget());
    if (const auto plan = place->plans.Find(key)) return plan->output_shapes();
    if (outputs.empty()) outputs = graph().outputs();
    NINC_ASSIGN_OR_RETURN(const std::vector<Shape> shapes, graph().InferShapes(input, outputs));
    std::vector<Shape> of_outputs;
    for (NodeId output : outputs) of_outputs.push_back(shapes[output]);
    return of_outputs;
  });
}

Status Model::Run(const Shape& input, const StridedView& x, float* y, NodeId output,
                  ModelState* used) {
  return CatchOutOfMemory("run", [&]() -> Status {
    NINC_RETURN_IF_ERROR(CheckInput(input, x));
    NINC_RETURN_IF_ERROR(CheckResult(input, y));
    return impl_->PlanAndRun(input, x, {}, &y, {.output = output}, used);
  });
}

Status Model::RunOutputs(const Shape& input, const StridedView& x, std::span<float* const> y,
                         std::span<const NodeId> outputs) {
  return CatchOutOfMemory("run", [&]() -> Status {
    NINC_RETURN_IF_ERROR(CheckInput(input, x));
    NINC_ASSIGN_OR_RETURN(const PlanOptions options, impl_->OptionsFor(outputs));
    NINC_RETURN_IF_ERROR(CheckResults(input, 1 + options.more_outputs.nodes().size(), y));
    return impl_->PlanAndRun(input, x, {}, y.data(), options);
  });
}

Status Model::RunPictures(const Shape& input, const Pictures& pictures, float* y, NodeId output) {
  return CatchOutOfMemory("run", [&]() -> Status {
    NINC_RETURN_IF_ERROR(CheckPictures(input, pictures));
    NINC_RETURN_IF_ERROR(CheckResult(input, y));
    return impl_->PlanAndRun(input, {}, pictures, &y, {.output = output});
  });
}

Result<DeviceResult> Model::RunOnDevice(const Shape& input, const StridedView& x, uint64_t stream,
                                        NodeId output) {
  NINC_RETURN_IF_ERROR(CheckOutput(graph(), output));
  const NodeId node = output < 0 ? graph().output() : output;
  NINC_ASSIGN_OR_RETURN(std::vector<DeviceResult> y,
                        RunOutputsOnDevice(input, x, stream, {&node, 1}));
  return std::move(y.front());
}

Result<std::vector<DeviceResult>> Model::RunOutputsOnDevice(const Shape& input,
                                                            const StridedView& x, uint64_t stream,
                                                            std::span<const NodeId> outputs) {
  return CatchOutOfMemory("run", [&]() -> Result<std::vector<DeviceResult>> {
    NINC_RETURN_IF_ERROR(CheckInput(input, x));
    NINC_ASSIGN_OR_RETURN(const PlanOptions options, impl_->OptionsFor(outputs));
    const std::shared_ptr<Placement> place = impl_->placement();
    NINC_ASSIGN_OR_RETURN(const std::shared_ptr<const Plan> plan,
                          impl_->PlanFor(*place, input, options, ChosenTarget()));
    if (input.size() > 0) NINC_RETURN_IF_ERROR(place->backend->Borrow("x", x.data, stream));
    std::vector<DeviceResult> y;
    std::vector<float*> addresses;
    for (const Shape& shape : plan->output_shapes()) {
      const auto bytes = static_cast<size_t>(shape.size()) * sizeof(float);
      DeviceResult result{place->backend, {}};
      NINC_ASSIGN_OR_RETURN(result.memory, place->backend->AllocateTemporary("output", bytes));
      addresses.push_back(result.memory.as());
      y.push_back(std::move(result));
    }
    if (plan->output_shape().size() == 0) return y;  // of no pictures, and so are the others
    NINC_ASSIGN_OR_RETURN(const std::shared_ptr<const PreparedSet> prepared,
                          impl_->PreparedFor(*place, plan->impl()));
    NINC_RETURN_IF_ERROR(impl_->RunThere(*place, plan->impl(), *prepared, x, addresses.data()));
    place->Trim(impl_->cache_limit);
    return y;
  });
}

Result<std::shared_ptr<const Plan>> Model::PlanFor(const Shape& input, const PlanOptions& options) {
  return CatchOutOfMemory(
      "plan", [&] { return impl_->PlanFor(*impl_->placement(), input, options, ChosenTarget()); });
}

Status Model::MoveTo(std::string_view device) {
  return CatchOutOfMemory("device", [&]() -> Status {
    if (device == impl_->placement()->backend->name()) return {};
    NINC_ASSIGN_OR_RETURN(std::shared_ptr<Backend> backend, OpenDevice(device));
    auto place = std::make_shared<Placement>(backend);
    NINC_ASSIGN_OR_RETURN(const auto writer_lock, impl_->LockWriter());
    const std::lock_guard lock(impl_->state_mutex);
    NINC_RETURN_IF_ERROR(impl_->parameters.MakeReady(backend, backend.get(), "parameters"));
    const std::lock_guard placement_lock(impl_->placement_mutex);
    impl_->current.swap(place);
    return {};
  });
}

std::string_view Model::device() const { return backend()->name(); }
std::shared_ptr<Backend> Model::backend() const { return impl_->placement()->backend; }

void Model::SetPrecision(Precision precision) { impl_->precision = precision; }

void Model::SetPlanCacheBytes(size_t bytes) {
  impl_->cache_limit = bytes;
  impl_->placement()->Trim(bytes);
}

size_t Model::PlanCacheLimit() const { return impl_->cache_limit; }

size_t Model::PlanCacheBytes() const { return impl_->placement()->CacheBytes(); }

}  // namespace ninc
