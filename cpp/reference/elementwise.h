// The specification of functions that are applied element by element.
#pragma once

#include <vector>

#include "ninc/function.h"
#include "reference/values.h"

namespace ninc::reference {

// f(x)
double Applied(Function function, FunctionSettings settings, double x);

// f'(x)
double SlopeAt(Function function, FunctionSettings settings, double x);

// y(i) = f(x(i))
std::vector<double> ElementwiseForward(Function function, FunctionSettings settings,
                                       const Values& x);

// dx(i) = dy(i) · f'(x(i))
std::vector<double> ElementwiseBackward(Function function, FunctionSettings settings,
                                        const Values& dy, const Values& x);

}  // namespace ninc::reference
