// The caller's arrays on their way to a backend that does not share the process's memory.
#pragma once

#include <cstddef>

#include "ninc/backend.h"

namespace ninc {

// Copies x, N×C×H×W of any strides, to `to` in the backend's memory, contiguous; *view is then how
// it is read there.
Status WriteInput(Backend& stream, const Shape& shape, const StridedView& x, std::byte* to,
                  StridedView* view);

}  // namespace ninc
