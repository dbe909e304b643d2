// What stands beside the network in a model file and changes what the network is shown.
#pragma once

#include <map>
#include <string>

#include "ninc/status.h"

namespace ninc {

// The entry "preprocessing" says how a picture becomes the network's input. Each of its fields asks
// for something, so a field, a choice or a kind of value that this ninc does not know is refused by
// the field's name: a reader that passed over it would show the network other pictures than it was
// trained on. A text that is no JSON object at all is left to whoever uses it, who cannot but fail;
// other entries are the user's own.
Status CheckStoredTexts(const std::map<std::string, std::string>& metadata);

// Whether "preprocessing" has fields that readers of format versions 1 and 2 pass over in silence,
// or may have: a text that begins as an object does and cannot be read counts as one that has.
bool HasFraming(const std::map<std::string, std::string>& metadata);

}  // namespace ninc
