// What batches and evaluations ask of a data set.
#pragma once

#include "ninc/training.h"

namespace ninc {

Status CheckData(const LabelledPictures& data, int64_t batch_size);

}  // namespace ninc
