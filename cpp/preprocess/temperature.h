// The temperature of a model's answers, which its file stores as "temperature".
#pragma once

#include "ninc/model.h"
#include "ninc/status.h"

namespace ninc {

// What scores are divided by before the softmax, p = softmax(z / T), so that probabilities are as
// high as answers are right (Guo et al. 2017, section 4.2); 1 where the model has none stored.
// InvalidModel unless what is stored is a number from 0.01 to 100.
Result<double> StoredTemperature(const Model& model);

}  // namespace ninc
