// Bodies of entries: registers, labels and instructions.
#include <algorithm>

#include "cuda_emulator/instructions/opcodes.h"
#include "cuda_emulator/machine/control_flow.h"
#include "cuda_emulator/ptx/parser.h"

namespace ninc::emulator {
namespace {

int RegisterWidth(std::string_view type) {
  if (type == ".pred") return 0;
  if (type == ".b16" || type == ".u16" || type == ".s16" || type == ".f16") return 2;
  if (type == ".b32" || type == ".u32" || type == ".s32" || type == ".f32") return 4;
  if (type == ".b64" || type == ".u64" || type == ".s64" || type == ".f64") return 8;
  return -1;
}

}  // namespace

Status Parser::ParseBody(Function* function) {
  Scopes scopes(function);
  Body body{function, &scopes, {}, {}};
  for (const Parameter& parameter : function->parameters) {
    scopes.Add(parameter.name, {.kind = Symbol::kParameter, .offset = parameter.offset});
  }
  for (const Variable& variable : module_->variables_) {
    scopes.Add(variable.name, {.kind = Symbol::kVariable});
  }
  for (const auto& [declaration, dynamic] : module_shared_) {
    // Only where it is named: a function pays for no other's memory.
    bool named = false;
    int depth = 0;
    for (size_t i = at_; i < tokens_.size(); ++i) {
      depth += tokens_[i].Is('{') ? 1 : tokens_[i].Is('}') ? -1 : 0;
      named |= tokens_[i].Is(std::string_view(declaration.name));
      if (depth == 0) break;
    }
    if (named) NINC_RETURN_IF_ERROR(DeclareShared(declaration, dynamic, function, &scopes));
  }
  NINC_RETURN_IF_ERROR(Expect('{'));
  int depth = 1;
  while (depth > 0) {
    if (Peek().kind == Token::kEnd) return Error("'}' is needed");
    if (Accept('{')) {
      ++depth;
      scopes.Push();
    } else if (Accept('}')) {
      --depth;
      scopes.Pop();
    } else {
      NINC_RETURN_IF_ERROR(ParseStatement(&body));
    }
  }
  return FinishBody(&body);
}

Status Parser::ParseStatement(Body* body) {
  if (Peek().kind == Token::kWord && Peek(1).Is(':')) {
    body->labels.emplace_back(std::string(Next().text), body->function->code.size());
    Next();
    return {};
  }
  if (Accept(".reg")) return ParseRegisters(body);
  for (const std::string_view space : {".shared", ".local"}) {
    if (Accept(space)) return ParseVariable(space, false, body);
  }
  if (Peek().Is(".loc")) {
    SkipLine();
    return {};
  }
  if (Accept(".pragma")) {  // advice for the assembler
    if (Peek().kind != Token::kString) return Error("a string is needed");
    if (Peek().text.substr(0, 15) == "used_bytes_mask" && version_ < 83) {
      return Error("this pragma is of PTX 8.3 and later");
    }
    Next();
    return Expect(';');
  }
  return ParseInstruction(body);
}

Status Parser::ParseRegisters(Body* body) {
  const int width = RegisterWidth(Peek().text);
  if (width < 0) return Error("unknown type of register");
  Next();
  do {
    if (Peek().kind != Token::kWord) return Error("a name is needed");
    const std::string name(Next().text);
    uint64_t count = 0;
    const bool numbered = Accept('<');
    if (numbered) {
      NINC_ASSIGN_OR_RETURN(count, Integer());
      NINC_RETURN_IF_ERROR(Expect('>'));
      if (count > 100000) return Error("too many registers");
    }
    for (uint64_t i = 0; i < (numbered ? count : 1); ++i) {
      Symbol symbol;
      symbol.width = static_cast<uint16_t>(width);
      symbol.offset = body->scopes->NewSlot(width);
      if (!body->scopes->Add(numbered ? name + std::to_string(i) : name, symbol)) {
        return Error("register " + name + " is declared twice");
      }
      ++body->function->registers;
    }
  } while (Accept(','));
  return Expect(';');
}

Status Parser::ParseInstruction(Body* body) {
  const size_t first = at_;
  const int line = Peek().line;
  std::string_view guard;
  bool guard_negated = false;
  if (Accept('@')) {
    guard_negated = Accept('!');
    guard = Next().text;
  }
  if (Peek().kind != Token::kWord) return Error("an instruction is needed");
  const std::string_view mnemonic = Next().text;
  std::vector<SourceOperand> operands;
  while (!Peek().Is(';')) {
    NINC_ASSIGN_OR_RETURN(SourceOperand operand, ParseOperand(mnemonic));
    operands.push_back(std::move(operand));
    if (!Accept(',') && !Peek().Is(';')) return Error("',' or ';' is needed");
  }
  const size_t end = Next().position + 1;
  const std::string where = "PTX line " + std::to_string(line) + ": ";

  Decoder decoder(mnemonic, std::move(operands), body->scopes);
  const Opcode* opcode = FindOpcode(decoder.opcode());
  if (opcode == nullptr) {
    return InvalidArgument(where + "unknown opcode " + std::string(mnemonic));
  }
  decoder.out().op_class = opcode->op_class;
  decoder.out().line = line;
  opcode->decode(decoder);
  if (decoder.error().empty()) decoder.Finish();
  if (!decoder.error().empty()) {
    return InvalidArgument(where + std::string(mnemonic) + ": " + decoder.error());
  }
  if (!guard.empty()) {
    const Symbol* symbol = body->scopes->Find(guard);
    if (symbol == nullptr || symbol->kind != Symbol::kRegister || symbol->width != 0) {
      return InvalidArgument(where + "the guard " + std::string(guard) + " is no predicate");
    }
    decoder.out().guard = symbol->offset;
    decoder.out().guard_negated = guard_negated;
  }
  if (decoder.opcode() == "bra") {
    body->branches.push_back({body->function->code.size(), std::string(decoder.Label(0)), line});
  }
  decoder.out().number = static_cast<uint32_t>(body->function->code.size());
  body->function->code.push_back(decoder.out());

  std::string text(ptx_.substr(tokens_[first].position, end - tokens_[first].position));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
  text.erase(
      std::unique(text.begin(), text.end(), [](char a, char b) { return a == ' ' && b == ' '; }),
      text.end());
  body->function->text.push_back(std::move(text));
  return {};
}

Result<SourceOperand> Parser::ParseOperand(std::string_view mnemonic) {
  SourceOperand operand;
  if (Accept('{')) {
    operand.kind = SourceOperand::kVector;
    do {
      NINC_ASSIGN_OR_RETURN(SourceOperand part, ParseOperand(mnemonic));
      operand.parts.push_back(std::move(part));
    } while (Accept(','));
    NINC_RETURN_IF_ERROR(Expect('}'));
    return operand;
  }
  if (Accept('[')) {
    operand.kind = SourceOperand::kAddress;
    if (Peek().kind == Token::kWord) {
      operand.name = Next().text;
      if (Accept('+') || Peek().Is('-')) {
        NINC_ASSIGN_OR_RETURN(operand.bits, Integer());
      }
    } else {
      NINC_ASSIGN_OR_RETURN(operand.bits, Integer());
    }
    NINC_RETURN_IF_ERROR(Expect(']'));
    return operand;
  }
  operand.negated = Accept('!');
  const Token& token = Peek();
  if (token.Is("_")) {
    Next();
    operand.kind = SourceOperand::kSink;
    return operand;
  }
  if (token.kind == Token::kWord) {
    operand.name = Next().text;
    if (Accept('|')) operand.second = Next().text;
    return operand;
  }
  operand.kind = SourceOperand::kNumber;
  if (token.kind == Token::kFloat32 || token.kind == Token::kFloat64) {
    operand.float_bytes = token.kind == Token::kFloat32 ? 4 : 8;
    operand.bits = Next().bits;
    return operand;
  }
  NINC_ASSIGN_OR_RETURN(operand.bits, Integer());
  return operand;
}

Status Parser::FinishBody(Body* body) {
  Function* function = body->function;
  if (function->code.empty()) return Error("entry " + function->name + " has no instructions");
  for (const Branch& branch : body->branches) {
    const auto label =
        std::find_if(body->labels.begin(), body->labels.end(),
                     [&](const auto& candidate) { return candidate.first == branch.label; });
    if (label == body->labels.end() || label->second == function->code.size()) {
      return InvalidArgument("PTX line " + std::to_string(branch.line) + ": label " + branch.label +
                             " leads nowhere");
    }
    function->code[branch.instruction].target = static_cast<uint32_t>(label->second);
  }
  if (!EndsFlow(function->code.back())) {
    return Error("entry " + function->name + " does not end with ret, exit, trap or a branch");
  }
  ArrangeBlocks(function);
  // Dynamic shared memory begins at a multiple of 16, the strictest alignment of an access.
  function->dynamic_shared_offset = (function->static_shared_bytes + 15) & ~15u;
  for (const uint32_t slot : body->scopes->dynamic_slots()) {
    for (Constant& constant : function->constants) {
      if (constant.offset == slot) constant.bits = function->dynamic_shared_offset;
    }
  }
  return {};
}

}  // namespace ninc::emulator
