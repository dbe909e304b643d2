// PTX text cut into tokens.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "ninc/status.h"

namespace ninc::emulator {

struct Token {
  enum Kind : uint8_t {
    kWord,         // a name, directive or mnemonic with its modifiers: %r1, .align, ld.global.f32
    kInteger,      // 42, 0x2a
    kFloat32,      // 0f3F800000
    kFloat64,      // 0d3FF0000000000000
    kString,       // "nounroll", quotes left out
    kPunctuation,  // one character
    kEnd,
  };
  Kind kind = kEnd;
  std::string_view text;
  uint64_t bits = 0;  // of a number
  int line = 0;
  size_t position = 0;  // in the text

  bool Is(char punctuation) const { return kind == kPunctuation && text[0] == punctuation; }
  bool Is(std::string_view word) const { return kind == kWord && text == word; }
};

// The tokens of `ptx`, a kEnd last. Views point into `ptx`.
Result<std::vector<Token>> Lex(std::string_view ptx);

}  // namespace ninc::emulator
