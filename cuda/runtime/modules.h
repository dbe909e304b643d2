// The kernels compiled into this library: one fatbin for each cuda/<module>.cu.
#pragma once

#include <span>
#include <string_view>

namespace ninc::cuda {

struct EmbeddedModule {
  const char* name;            // "conv2d" of cuda/conv2d/conv2d.cu
  const unsigned char* image;  // what cuModuleLoadData takes
};

std::span<const EmbeddedModule> EmbeddedModules();

// The module of that name, or null.
const EmbeddedModule* FindModule(std::string_view name);

}  // namespace ninc::cuda
