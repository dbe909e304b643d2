#include "cuda_emulator/ptx/lexer.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string>

namespace ninc::emulator {
namespace {

bool StartsWord(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' ||
         c == '.';
}
bool ContinuesWord(char c) { return StartsWord(c) || std::isdigit(static_cast<unsigned char>(c)); }

// The number that `text` begins with, as a token without a place.
Token Number(std::string_view text) {
  Token token;
  int base = 10;
  size_t prefix = 0;
  if (text.size() > 2 && text[0] == '0') {
    const char letter = static_cast<char>(std::tolower(static_cast<unsigned char>(text[1])));
    if (letter == 'x' || letter == 'f' || letter == 'd') base = 16, prefix = 2;
    if (letter == 'f') token.kind = Token::kFloat32;
    if (letter == 'd') token.kind = Token::kFloat64;
  }
  if (token.kind == Token::kEnd) token.kind = Token::kInteger;
  const char* begin = text.data() + prefix;
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), token.bits, base);
  size_t length = static_cast<size_t>(end - text.data());
  if (error != std::errc()) token.kind = Token::kEnd;
  if (length < text.size() && text[length] == 'U') ++length;
  token.text = text.substr(0, length);
  return token;
}

}  // namespace

Result<std::vector<Token>> Lex(std::string_view ptx) {
  std::vector<Token> tokens;
  int line = 1;
  size_t at = 0;
  while (at < ptx.size()) {
    const char c = ptx[at];
    if (c == '\n') ++line;
    if (std::isspace(static_cast<unsigned char>(c)) || c == '\0') {
      ++at;
      continue;
    }
    if (ptx.substr(at, 2) == "//") {
      at = std::min(ptx.find('\n', at), ptx.size());
      continue;
    }
    if (ptx.substr(at, 2) == "/*") {
      const size_t end = std::min(ptx.find("*/", at + 2), ptx.size());
      const std::string_view comment = ptx.substr(at, end - at);
      line += static_cast<int>(std::count(comment.begin(), comment.end(), '\n'));
      at = std::min(end + 2, ptx.size());
      continue;
    }
    Token token;
    if (c == '"') {
      const size_t end = ptx.find('"', at + 1);
      if (end == std::string_view::npos) {
        return InvalidArgument("PTX line " + std::to_string(line) + ": a string has no end");
      }
      token.kind = Token::kString;
      token.text = ptx.substr(at + 1, end - at - 1);
      token.position = at;
      token.line = line;
      tokens.push_back(token);
      at = end + 1;
      continue;
    }
    if (StartsWord(c)) {
      size_t end = at + 1;
      // "::" joins the parts of one modifier: shared::cta.
      while (end < ptx.size() && (ContinuesWord(ptx[end]) || ptx.substr(end, 2) == "::")) {
        end += ptx[end] == ':' ? 2 : 1;
      }
      token.kind = Token::kWord;
      token.text = ptx.substr(at, end - at);
    } else if (std::isdigit(static_cast<unsigned char>(c))) {
      token = Number(ptx.substr(at));
      if (token.kind == Token::kEnd) {
        return InvalidArgument("PTX line " + std::to_string(line) + ": not a number: '" +
                               std::string(ptx.substr(at, 20)) + "'");
      }
    } else if (std::string_view("{}[](),;:+-|!@=<>").find(c) != std::string_view::npos) {
      token.kind = Token::kPunctuation;
      token.text = ptx.substr(at, 1);
    } else {
      return InvalidArgument("PTX line " + std::to_string(line) + ": unexpected character '" + c +
                             "'");
    }
    token.line = line;
    token.position = at;
    at += token.text.size();
    tokens.push_back(token);
  }
  tokens.push_back({.kind = Token::kEnd, .line = line, .position = ptx.size()});
  return tokens;
}

}  // namespace ninc::emulator
