// Runs a program's steps on a backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "graph/device_tensors.h"
#include "graph/memory.h"
#include "graph/prepared.h"
#include "graph/program.h"
#include "ninc/backend.h"

namespace ninc {

// What differs from one run of a program to the next. All memory is the backend's.
struct RunArguments {
  StridedView x;
  Pictures pictures;                          // in place of x where its data is not null
  const DeviceTensors* parameters = nullptr;  // training reads them as they are
  const PreparedSet* prepared = nullptr;      // inference has them prepared
  std::byte* arena = nullptr;                 // MemoryLayout::bytes
  Workspace workspace;                        // of LargestWorkspace
  float* y = nullptr;                         // inference
  const int64_t* labels = nullptr;            // training, as all below
  StepState* state = nullptr;                 // dropout's key is read, loss and correct are written
  bool dropout = true;                        // false: nothing is dropped
  std::optional<float> norm_momentum = {};    // in place of every batch norm's own
};

// Enough scratch memory for each of the program's steps: they share it.
WorkspaceSize LargestWorkspace(const Program& program, const Backend& backend);

// Runs all steps in order. Allocates nothing.
Status Execute(const Program& program, const MemoryLayout& layout, Backend& backend,
               const RunArguments& arguments);
// Runs the steps [begin, end).
Status ExecuteSteps(const Program& program, const MemoryLayout& layout, Backend& backend,
                    const RunArguments& arguments, size_t begin, size_t end);

}  // namespace ninc
