// The container that nvcc makes, as far as the emulated driver reads it: a header, then entries,
// each the PTX or the binary for one architecture, compressed or not.
#pragma once

#include <string>

#include "ninc/status.h"

namespace ninc::emulator {

// The PTX text of the fatbin at `image`, whose own header says how long it is. An error if it is no
// fatbin, holds no PTX, or its PTX is compressed in a way that this machine cannot undo.
Result<std::string> PtxOfFatbin(const void* image);

}  // namespace ninc::emulator
