// A model file from a stranger: read, and if it is a network, run and written again.
#pragma once

#include <cstddef>
#include <cstdint>

#include "fuzz/run_model.h"
#include "ninc/model.h"

namespace ninc {

inline void FuzzModel(const uint8_t* data, size_t size) {
  const auto model = LoadMemory(data, size, "fuzz");
  if (!model.ok()) {
    if (model.status().message().size() > 10'000) __builtin_trap();
    return;
  }
  if (!Save(*model.value(), "/dev/null").ok()) __builtin_trap();
  if (IsModerate(model.value()->graph())) RunOnASmallPicture(*model.value());
}

}  // namespace ninc
