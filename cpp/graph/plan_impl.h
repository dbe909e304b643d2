// What a Plan holds, for those in the core that make and run plans.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "graph/memory.h"
#include "graph/prepared.h"
#include "graph/program.h"
#include "ninc/plan.h"
#include "ninc/target.h"

namespace ninc {

struct Plan::Impl {
  std::shared_ptr<const Graph> graph;
  Backend* backend = nullptr;
  PlanOptions options;
  Shape input;
  Target target{};  // the one it was compiled for: tiles, and so scratch memory, depend on it
  Program program;
  MemoryLayout layout;
  WorkspaceSize workspace;
  std::vector<std::string> algorithms;  // by step; convolutions' only
  double flops = 0;
  mutable PreparedSlot prepared;

  // One run's memory: the arena, and behind it scratch memory for `threads` threads.
  size_t RunBytes(int threads) const {
    return WorkspaceSize::Aligned(layout.bytes) + workspace.Total(threads);
  }
  Workspace WorkspaceIn(std::byte* memory, int threads) const {
    return Workspace(memory + WorkspaceSize::Aligned(layout.bytes), workspace, threads);
  }
  // What the plan itself holds in memory, about.
  size_t OwnBytes() const;
};

// `options.output` is a node's number.
Result<std::shared_ptr<const Plan>> CompilePlan(std::shared_ptr<const Graph> graph,
                                                const Shape& input, const PlanOptions& options,
                                                Backend& backend);

}  // namespace ninc
