#include "cuda_emulator/ptx/parser.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

namespace ninc::emulator {
namespace {

constexpr uint64_t kMaxVariableBytes = uint64_t{1} << 30;

Type TypeOf(std::string_view directive) {
  for (const auto& [name, type] :
       std::initializer_list<std::pair<std::string_view, Type>>{{".b8", Type::kB8},
                                                                {".u8", Type::kU8},
                                                                {".s8", Type::kS8},
                                                                {".b16", Type::kB16},
                                                                {".u16", Type::kU16},
                                                                {".s16", Type::kS16},
                                                                {".f16", Type::kF16},
                                                                {".b32", Type::kB32},
                                                                {".u32", Type::kU32},
                                                                {".s32", Type::kS32},
                                                                {".f32", Type::kF32},
                                                                {".b64", Type::kB64},
                                                                {".u64", Type::kU64},
                                                                {".s64", Type::kS64},
                                                                {".f64", Type::kF64}}) {
    if (name == directive) return type;
  }
  return Type::kNone;
}

uint32_t RoundUp(uint32_t value, uint32_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace

// ---- Tokens
// --------------------------------------------------------------------------------------

const Token& Parser::Peek(size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

const Token& Parser::Next() {
  const Token& token = Peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool Parser::Accept(char punctuation) {
  if (!Peek().Is(punctuation)) return false;
  Next();
  return true;
}

bool Parser::Accept(std::string_view word) {
  if (!Peek().Is(word)) return false;
  Next();
  return true;
}

Status Parser::Expect(char punctuation) {
  if (Accept(punctuation)) return {};
  return Error(std::string("'") + punctuation + "' is needed");
}

Status Parser::Error(const std::string& why) const {
  const Token& token = Peek();
  const std::string found = token.kind == Token::kEnd ? "the end" : std::string(token.text);
  return InvalidArgument("PTX line " + std::to_string(token.line) + ": " + why + ", got '" + found +
                         "'");
}

void Parser::SkipLine() {
  const int line = Peek().line;
  while (Peek().kind != Token::kEnd && Peek().line == line) Next();
}

Result<uint64_t> Parser::Integer() {
  const bool negative = Accept('-');
  if (Peek().kind != Token::kInteger) return Error("a number is needed");
  const uint64_t bits = Next().bits;
  return negative ? ~bits + 1 : bits;
}

// ---- Directives
// ----------------------------------------------------------------------------------

Status Parser::ParseModule() {
  while (Peek().kind != Token::kEnd) NINC_RETURN_IF_ERROR(ParseTopLevel());
  return {};
}

Status Parser::ParseTopLevel() {
  if (Peek().Is(".version")) return ParseVersion();
  if (Peek().Is(".target")) return ParseTarget();
  if (Peek().Is(".file")) {
    SkipLine();
    return {};
  }
  if (Accept(".address_size")) {
    NINC_ASSIGN_OR_RETURN(const uint64_t bits, Integer());
    return bits == 64 ? Status() : Error("only 64-bit addresses are known");
  }
  if (Accept(".section")) {  // debug information
    while (Peek().kind != Token::kEnd && !Peek().Is('}')) Next();
    return Expect('}');
  }
  bool is_extern = false;
  while (Peek().Is(".visible") || Peek().Is(".extern") || Peek().Is(".weak")) {
    is_extern |= Next().Is(".extern");
  }
  if (Accept(".entry")) return ParseEntry();
  for (const std::string_view space : {".global", ".const", ".shared"}) {
    if (Accept(space)) return ParseVariable(space, is_extern, nullptr);
  }
  if (Peek().Is(".func")) return Error("functions other than entries are not emulated");
  return Error("unknown directive");
}

// .version 7.8: no number of the lexer's, so it is read from the text.
Status Parser::ParseVersion() {
  const std::string line(ptx_.substr(Peek().position, 40));
  int major = 0;
  int minor = 0;
  if (std::sscanf(line.c_str(), ".version %d.%d", &major, &minor) != 2) {
    return Error("a version is needed");
  }
  version_ = 10 * major + minor;
  SkipLine();
  return {};
}

// .target sm_80, with more words after a comma
Status Parser::ParseTarget() {
  Next();
  const std::string word(Peek().text);
  if (std::sscanf(word.c_str(), "sm_%d", &target_) != 1) return Error("a target is needed");
  SkipLine();
  return {};
}

Result<Parser::Declaration> Parser::ParseDeclaration() {
  Declaration declaration;
  if (Accept(".align")) {
    NINC_ASSIGN_OR_RETURN(const uint64_t alignment, Integer());
    if (!std::has_single_bit(alignment) || alignment > 256) return Error("not an alignment");
    declaration.alignment = static_cast<uint32_t>(alignment);
  }
  if (Accept(".attribute")) return Error("attributes are not emulated");
  declaration.element_bytes = static_cast<uint32_t>(Bytes(TypeOf(Peek().text)));
  if (declaration.element_bytes == 0) return Error("unknown type");
  Next();
  if (declaration.alignment == 0) declaration.alignment = declaration.element_bytes;
  if (Peek().kind != Token::kWord) return Error("a name is needed");
  declaration.name = std::string(Next().text);
  declaration.bytes = declaration.element_bytes;
  while (Accept('[')) {
    uint64_t count = 0;
    if (!Peek().Is(']')) {
      NINC_ASSIGN_OR_RETURN(count, Integer());
    }
    if (count > kMaxVariableBytes / std::max<uint64_t>(declaration.bytes, 1)) {
      return Error("the array is too large");
    }
    declaration.bytes *= count;
    NINC_RETURN_IF_ERROR(Expect(']'));
  }
  return declaration;
}

Status Parser::ParseInitializer(Declaration* declaration) {
  if (!Accept('=')) return {};
  int depth = 0;
  do {
    if (Accept('{')) {
      ++depth;
    } else if (Accept('}')) {
      --depth;
    } else if (Accept(',')) {
      continue;
    } else if (Peek().kind == Token::kFloat32 || Peek().kind == Token::kFloat64) {
      declaration->values.push_back(Next().bits);
    } else {
      // An address of another variable ends here too: no module of ours has one.
      NINC_ASSIGN_OR_RETURN(const uint64_t value, Integer());
      declaration->values.push_back(value);
    }
  } while (depth > 0);
  if (declaration->values.size() * declaration->element_bytes > declaration->bytes) {
    return Error("more values than the variable holds");
  }
  return {};
}

Status Parser::ParseVariable(std::string_view space, bool is_extern, Body* body) {
  NINC_ASSIGN_OR_RETURN(Declaration declaration, ParseDeclaration());
  if (space == ".shared") {
    const bool dynamic = declaration.bytes == 0;
    if (dynamic != is_extern) return Error("shared memory without a size must be extern");
    if (body == nullptr) {
      module_shared_.emplace_back(declaration, dynamic);
    } else {
      NINC_RETURN_IF_ERROR(DeclareShared(declaration, dynamic, body->function, body->scopes));
    }
    return Expect(';');
  }
  if (is_extern) return Error("variables of other modules are not emulated");
  if (space == ".local") {
    Function* function = body->function;
    const uint32_t offset = RoundUp(function->local_bytes, declaration.alignment);
    if (declaration.bytes > (1u << 20)) return Error("the local array is too large");
    function->local_bytes = offset + static_cast<uint32_t>(declaration.bytes);
    body->scopes->Add(declaration.name, {.kind = Symbol::kLocal, .offset = offset});
    return Expect(';');
  }
  NINC_RETURN_IF_ERROR(ParseInitializer(&declaration));
  Variable variable;
  variable.name = declaration.name;
  variable.bytes = declaration.bytes;
  variable.contents.resize(variable.bytes);
  for (size_t i = 0; i < declaration.values.size(); ++i) {
    std::memcpy(variable.contents.data() + i * declaration.element_bytes, &declaration.values[i],
                declaration.element_bytes);
  }
  module_->variables_.push_back(std::move(variable));
  return Expect(';');
}

Status Parser::DeclareShared(const Declaration& declaration, bool dynamic, Function* function,
                             Scopes* scopes) {
  if (dynamic) {
    scopes->Add(declaration.name, {.kind = Symbol::kDynamicShared});
    return {};
  }
  const uint32_t offset = RoundUp(function->static_shared_bytes, declaration.alignment);
  if (declaration.bytes > (1u << 20)) return Error("the shared array is too large");
  function->static_shared_bytes = offset + static_cast<uint32_t>(declaration.bytes);
  scopes->Add(declaration.name, {.kind = Symbol::kShared, .offset = offset});
  return {};
}

Status Parser::ParseEntry() {
  auto function = std::make_unique<Function>();
  function->target = target_;
  if (Peek().kind != Token::kWord) return Error("a name is needed");
  function->name = std::string(Next().text);
  if (Accept('(')) NINC_RETURN_IF_ERROR(ParseParameters(function.get()));
  NINC_RETURN_IF_ERROR(ParseTuning(function.get()));
  NINC_RETURN_IF_ERROR(ParseBody(function.get()));
  module_->functions_.push_back(std::move(function));
  return {};
}

Status Parser::ParseParameters(Function* function) {
  while (!Accept(')')) {
    if (!Accept(".param")) return Error(".param is needed");
    NINC_ASSIGN_OR_RETURN(const Declaration declaration, ParseDeclaration());
    Parameter parameter;
    parameter.name = declaration.name;
    parameter.alignment = declaration.alignment;
    parameter.size = static_cast<uint32_t>(declaration.bytes);
    parameter.offset = RoundUp(function->parameter_bytes, parameter.alignment);
    function->parameter_bytes = parameter.offset + parameter.size;
    function->parameters.push_back(parameter);
    if (!Accept(',') && !Peek().Is(')')) return Error("',' or ')' is needed");
  }
  return {};
}

Status Parser::ParseTuning(Function* function) {
  while (!Peek().Is('{')) {
    if (Accept(".maxntid") || Accept(".reqntid")) {
      uint64_t threads = 1;
      do {
        NINC_ASSIGN_OR_RETURN(const uint64_t size, Integer());
        threads *= size;
      } while (Accept(','));
      function->max_threads = static_cast<uint32_t>(std::min<uint64_t>(threads, 1024));
    } else if (Accept(".minnctapersm")) {
      NINC_ASSIGN_OR_RETURN(const uint64_t blocks, Integer());
      function->min_blocks = static_cast<uint32_t>(blocks);
    } else if (Accept(".maxnreg")) {
      NINC_RETURN_IF_ERROR(Integer().status());
    } else {
      return Error("unknown directive");
    }
  }
  return {};
}

// ---- Modules
// -------------------------------------------------------------------------------------

Result<std::unique_ptr<Module>> Module::Parse(std::string_view ptx) {
  NINC_ASSIGN_OR_RETURN(std::vector<Token> tokens, Lex(ptx));
  auto module = std::make_unique<Module>();
  Parser parser(ptx, std::move(tokens), module.get());
  NINC_RETURN_IF_ERROR(parser.ParseModule());
  return module;
}

}  // namespace ninc::emulator
