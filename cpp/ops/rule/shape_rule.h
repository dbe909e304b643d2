// What the operations' shape rules share: the wording of what does not fit.
#pragma once

#include <cstdint>
#include <string>

#include "ninc/status.h"
#include "ninc/tensor.h"
#include "ops/rule/channels.h"

namespace ninc {

// "3×5"
inline std::string Extent(int64_t h, int64_t w) {
  return std::to_string(h) + "×" + std::to_string(w);
}

inline Status Expected(const std::string& wanted, const std::string& got, const Shape& input) {
  return InvalidShape("expected " + wanted + ", got " + got + " (input shape " + input.ToString() +
                      ")");
}

inline Status ExpectChannels(const Taken& taken, const Shape& input) {
  if (taken.Fits(input.c)) return {};
  return Expected(taken.Wanted(), std::to_string(input.c), input);
}

}  // namespace ninc
