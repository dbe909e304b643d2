// A first look at a graph's JSON, which builds nothing.
#pragma once

#include <string_view>

#include "ninc/status.h"

namespace ninc {

// What no graph's JSON has, whoever wrote it, is refused before a tree is made of the text: more
// values, deeper nesting, longer strings and more fields in an object than any network needs, and a
// field given twice, which a tree would hide. Takes time in proportion to the text and recurses
// nowhere. Otherwise the text is valid JSON.
Status CheckGraphJson(std::string_view text);

}  // namespace ninc
