// Text for messages.
#pragma once

#include <string>
#include <string_view>

namespace ninc {

// The beginning of a text that may be of any length and hold anything, as it may stand in a
// message: one line, valid UTF-8 if the text is.
inline std::string Excerpt(std::string_view text) {
  constexpr size_t kMost = 80;
  std::string shown(text.substr(0, kMost));
  if (text.size() > kMost) {
    // Not in the middle of a character: its later bytes are 10xxxxxx.
    size_t end = kMost;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    shown.resize(end);
    shown += "...";
  }
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return shown;
}

}  // namespace ninc
