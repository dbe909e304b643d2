// The caller's arrays on their way to a backend that does not share the process's memory.
#pragma once

#include <cstddef>

#include "compile/plan/plan_impl.h"
#include "ninc/backend.h"

namespace ninc {

// Copies x, N×C×H×W of any strides, to `to` in the backend's memory, contiguous; *view is then how
// it is read there.
Status WriteInput(Backend& stream, const Shape& shape, const StridedView& x, std::byte* to,
                  StridedView* view);

// Copies pictures, their scales and their shifts to their places in a run's memory; *pictures is
// then how they are read there.
Status WritePictures(Backend& stream, const Shape& shape, std::byte* memory,
                     const RunLayout& layout, Pictures* pictures);

}  // namespace ninc
