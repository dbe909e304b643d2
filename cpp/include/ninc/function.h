// Functions of one element and of two. Relu, Relu6 and Clip are none of these: an Activation has
// their limits (problem.h).
#pragma once

#include <cstdint>

namespace ninc {

// What each computes stands in cpp/ops/elementwise/elementwise_table.inc, a row for each.
enum class Function : uint8_t {
  kLeakyRelu,
  kElu,
  kSigmoid,
  kHardSigmoid,
  kTanh,
  kSilu,
  kHardSwish,
  kGelu,
  kGeluTanh,
};

inline constexpr Function kFunctions[] = {
    Function::kLeakyRelu,   Function::kElu,  Function::kSigmoid,
    Function::kHardSigmoid, Function::kTanh, Function::kSilu,
    Function::kHardSwish,   Function::kGelu, Function::kGeluTanh,
};

// What a function is told beside x, in the order of its operation's fields.
struct FunctionSettings {
  float a = 0.0f, b = 0.0f;
  bool operator==(const FunctionSettings&) const = default;
};

// Functions of two elements.
enum class BinaryFunction : uint8_t { kAdd, kSub, kMul, kDiv };

}  // namespace ninc
