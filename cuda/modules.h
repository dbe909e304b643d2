// The kernels compiled into this library: one fatbin for each cuda/<module>.cu. The table is
// written by cmake/NincCuda.cmake.
#pragma once

#include <cstddef>

namespace ninc::cuda {

struct EmbeddedModule {
  const char* name;            // "conv2d" of cuda/conv2d.cu
  const unsigned char* image;  // what cuModuleLoadData takes
  size_t bytes;
};

// The module of that name, or null.
const EmbeddedModule* FindModule(const char* name);

// For reports: every module, and how many.
const EmbeddedModule* EmbeddedModules(size_t* count);

}  // namespace ninc::cuda
