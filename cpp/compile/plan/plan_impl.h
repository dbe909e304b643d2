// What a Plan holds, for those in the core that make and run plans.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "compile/kernel.h"
#include "compile/memory.h"
#include "compile/prepared_set.h"
#include "compile/program.h"
#include "ninc/plan.h"
#include "ninc/target.h"

namespace ninc {

// Where the parts of one run's memory begin: the arena comes first, then scratch memory, then the
// caller's arrays where the backend cannot read them where they are.
struct RunLayout {
  size_t workspace = 0, input = 0, scale = 0, shift = 0, outputs = 0, bytes = 0;
  int threads = 1;
};

struct NINC_LOCAL Plan::Impl {
  std::shared_ptr<const Graph> graph;
  std::shared_ptr<Backend> backend;
  uint64_t id = 0;  // no other plan of this process has it: names recordings
  PlanOptions options;
  Shape input;
  Target target{};  // what it was compiled for, for Describe; kernels keep it themselves
  Program program;
  std::vector<Kernel> kernels;  // by step
  Update<Kernel> update;        // training
  MemoryLayout layout;
  WorkspaceSize workspace;
  double flops = 0;
  mutable PreparedSlot prepared;

  // The places of one run by `threads` threads.
  RunLayout LayoutOf(int threads) const;
  Workspace WorkspaceIn(std::byte* memory, const RunLayout& run) const {
    return Workspace(memory + run.workspace, workspace, run.threads);
  }
  // What the plan itself holds in memory, about.
  size_t OwnBytes() const;
};

// `options.output` is a node's number. A plan for the processor runs on `target`, whatever is in
// use by then.
Result<std::shared_ptr<const Plan>> CompilePlan(std::shared_ptr<const Graph> graph,
                                                const Shape& input, const PlanOptions& options,
                                                std::shared_ptr<Backend> backend, Target target);

}  // namespace ninc
