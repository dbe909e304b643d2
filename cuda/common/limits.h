// How an activation is told to a kernel.
#pragma once

namespace ninc::cuda {

// An activation as its limits, min(max(x, low), high), for every kernel that ends in one. NaN means
// no limit: any comparison with it is false, so that one piece of code serves all kinds.
struct Limits {
  float low, high;
};

}  // namespace ninc::cuda
