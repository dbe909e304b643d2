// What a driver of some version makes of a fatbin on a card of some compute capability.
#pragma once

#include <cstdint>
#include <string>

#include "cuda/runtime/driver_types.h"

namespace ninc::emulator {

// Either the PTX to execute, or the driver's answer and the reason for it.
struct ImageChoice {
  cuda::abi::Result code = cuda::abi::kSuccess;
  std::string text;
};

// Refused are: compression and binaries of a later driver; a fatbin with nothing for the card; PTX
// of a later version, and that also where a binary would be taken, since on other cards it is the
// PTX. The PTX executed is the newest that the card can run, in place of the binary made from it.
//
// driver: 12000 is 12.0. capability: 80 is 8.0. ptx: the newest version of PTX, 78 is 7.8; 0: the
// one of the driver's toolkit.
ImageChoice ChooseImage(const void* image, int64_t driver, int64_t capability, int64_t ptx = 0);

}  // namespace ninc::emulator
