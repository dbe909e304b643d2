// What every kind of step of a program tells about itself. A step is a struct in `namespace step`
// whose members are its settings and its values; it stands in the file of the operation that it
// belongs to; one with packed weights among its values calls them `packed`, or those of several
// `layers`. All values are float32 and channels-last, N×H×W×C, or rows×channels where the pixels'
// arrangement does not matter. Outputs are written (=), never added to. The same inputs give the
// same bits, whatever the number of threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ninc/problem.h"

namespace ninc {

using ValueId = int32_t;
inline constexpr ValueId kNoValue = -1;

// A step's values, kNoValue where an optional one is missing. in_place: those of `reads` whose
// memory writes[0] may take over if no later step reads them.
struct Operands {
  std::vector<ValueId> reads;
  std::vector<ValueId> writes;
  std::vector<ValueId> in_place = {};
};

// A step's row in the table of Plan::Describe.
struct StepSummary {
  std::string name;
  ValueId result;          // kNoValue: the step is not in the table
  std::string shape = {};  // where the value's own says little
};

// "relu"; empty for none.
inline std::string Name(const Activation& activation) {
  if (activation == kNoActivation) return "";
  if (activation == kRelu) return "relu";
  return activation == kRelu6 ? "relu6" : "clip";
}

// "conv2d" -> "conv2d + relu"
inline std::string With(const std::string& name, const Activation& activation) {
  return activation == kNoActivation ? name : name + " + " + Name(activation);
}

}  // namespace ninc
