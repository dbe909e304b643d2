// The specification of functions of two operands, of the sums that their gradients are, and of
// PReLU. Shapes are N×H×W×C.
#pragma once

#include <vector>

#include "ninc/function.h"
#include "ninc/tensor.h"
#include "reference/values.h"

namespace ninc::reference {

// y = f(a, b) of y_shape; a size of 1 stands for y's.
std::vector<double> BinaryForward(BinaryFunction function, const Shape& a_shape, const Values& a,
                                  const Shape& b_shape, const Values& b, const Shape& y_shape);

// y = factor · the sum of x over those of its sizes of which y has one
std::vector<double> SumTo(double factor, const Shape& x_shape, const Values& x,
                          const Shape& y_shape);

// y(r, c) = x where x > 0, else slope(c) · x; slope: `channels` of them, or one.
std::vector<double> PReluForward(int64_t channels, const Values& x, const Values& slope);

struct PReluGradients {
  std::vector<double> dx, terms;  // terms = dy · x where x <= 0, else 0
};
PReluGradients PReluBackward(int64_t channels, const Values& dy, const Values& x,
                             const Values& slope);

}  // namespace ninc::reference
