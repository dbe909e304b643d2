// The text that a model stores as "preprocessing", read and checked.
#pragma once

#include <string>
#include <vector>

#include "ninc/status.h"
#include "preprocess/framing.h"

namespace ninc {

struct PictureSettings {
  Framing framing;
  // y[c, i, j] = (x[i, j, c] / scale - mean[c]) / std[c]; a whitening has 1, 0 and 1.
  double scale = 255.0;
  std::vector<double> mean, std;  // one a channel
  // In place of that the paper's contrast normalisation to this length, and whitening.
  bool whitens = false;
  double contrast = 0.0;

  // Normalising gives x * Factor(c) + Shift(c).
  float Factor(size_t c) const { return static_cast<float>(1.0 / (scale * std[c])); }
  float Shift(size_t c) const { return static_cast<float>(-mean[c] / std[c]); }
};

// As Preprocessing.from_dict in python/ninc/preprocess/settings.py reads it, which takes and
// refuses the same but for 16.0 where 16 is meant. InvalidModel names the entry.
Result<PictureSettings> ReadPictureSettings(const std::string& text);

}  // namespace ninc
