// Includes HWY_TARGET_INCLUDE once for each instruction set we ship. No include guard: every kernel
// file includes it once, on purpose.
#include "cpu/simd/built_targets.h"
#include <hwy/foreach_target.h>
