// Joins steps that are faster as one.
#pragma once

#include "graph/program.h"

namespace ninc {

// A convolution, the 1×1 convolutions behind it and, where nobody else reads their output, the pool
// behind those become one step::MlpConv. Results stay the same to the bit.
void FuseMlpConvs(Program* program);

}  // namespace ninc
