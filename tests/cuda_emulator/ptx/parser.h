// Reads a module: its directives here, its instructions through the table of opcodes.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cuda_emulator/ptx/decoder.h"
#include "cuda_emulator/ptx/lexer.h"
#include "cuda_emulator/ptx/module.h"

namespace ninc::emulator {

class Parser {
 public:
  Parser(std::string_view ptx, std::vector<Token> tokens, Module* module)
      : ptx_(ptx), tokens_(std::move(tokens)), module_(module) {}

  Status ParseModule();

 private:
  // A variable's declaration, from its first directive after the state space on.
  struct Declaration {
    std::string name;
    uint32_t alignment = 0;
    uint64_t bytes = 0;  // 0: extern shared memory, whose size the launch sets
    uint32_t element_bytes = 0;
    std::vector<uint64_t> values;
  };
  struct Branch {
    size_t instruction;
    std::string label;
    int line;
  };
  // What is known of the function whose body is being read.
  struct Body {
    Function* function;
    Scopes* scopes;
    std::vector<std::pair<std::string, size_t>> labels;
    std::vector<Branch> branches;
  };

  // tokens
  const Token& Peek(size_t ahead = 0) const;
  const Token& Next();
  bool Accept(char punctuation);
  bool Accept(std::string_view word);
  Status Expect(char punctuation);
  Status Error(const std::string& why) const;  // names the line of the next token
  void SkipLine();                             // tokens of the line just begun
  Result<uint64_t> Integer();

  // directives
  Status ParseTopLevel();
  Status ParseVersion();
  Status ParseTarget();
  Status ParseVariable(std::string_view space, bool is_extern, Body* body);
  Result<Declaration> ParseDeclaration();
  Status ParseInitializer(Declaration* declaration);
  Status ParseEntry();
  Status ParseParameters(Function* function);
  Status ParseTuning(Function* function);

  // bodies
  Status ParseBody(Function* function);
  Status ParseStatement(Body* body);
  Status ParseRegisters(Body* body);
  Status ParseInstruction(Body* body);
  Result<SourceOperand> ParseOperand(std::string_view mnemonic);
  Status FinishBody(Body* body);
  Status DeclareShared(const Declaration& declaration, bool dynamic, Function* function,
                       Scopes* scopes);

  std::string_view ptx_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  Module* module_;
  int version_ = 0;  // of the PTX, 78 is 7.8
  int target_ = 0;   // 80 is sm_80
  // Shared memory declared outside functions: laid out in each function that comes after it.
  std::vector<std::pair<Declaration, bool>> module_shared_;
};

}  // namespace ninc::emulator
