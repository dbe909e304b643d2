// The assembler copies the fatbins from the build folder into read-only data. cmake/NincCuda.cmake
// writes the list: NINC_CUDA_MODULE(name, file) for each.
#include "cuda/runtime/modules.h"

// Aligned as the driver reads them: in words of eight bytes.
#define NINC_CUDA_MODULE(name, file)                                                               \
  asm(".section .rodata.ninc_cuda_" #name                                                          \
      ", \"a\", %progbits\n"                                                                       \
      ".balign 64\n"                                                                               \
      "ninc_cuda_" #name                                                                           \
      "_begin:\n"                                                                                  \
      ".incbin \"" file                                                                            \
      "\"\n"                                                                                       \
      "ninc_cuda_" #name                                                                           \
      "_end:\n"                                                                                    \
      ".previous\n");                                                                              \
  extern "C" const unsigned char ninc_cuda_##name##_begin[] __attribute__((visibility("hidden"))); \
  extern "C" const unsigned char ninc_cuda_##name##_end[] __attribute__((visibility("hidden")));
#include "cuda_modules.inc"
#undef NINC_CUDA_MODULE

namespace ninc::cuda {

std::span<const EmbeddedModule> EmbeddedModules() {
#define NINC_CUDA_MODULE(name, file) {#name, ninc_cuda_##name##_begin},
  static constexpr EmbeddedModule kModules[] = {
#include "cuda_modules.inc"
  };
#undef NINC_CUDA_MODULE
  return kModules;
}

const EmbeddedModule* FindModule(std::string_view name) {
  for (const EmbeddedModule& module : EmbeddedModules()) {
    if (name == module.name) return &module;
  }
  return nullptr;
}

}  // namespace ninc::cuda
