// What an opcode's decoder works with: the modifiers and operands of one instruction as written, to
// be turned into a decoded one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cuda_emulator/ptx/module.h"

namespace ninc::emulator {

enum class Type : uint8_t {
  kNone,
  kPred,
  kB8,
  kU8,
  kS8,
  kB16,
  kU16,
  kS16,
  kF16,
  kB32,
  kU32,
  kS32,
  kF32,
  kB64,
  kU64,
  kS64,
  kF64,
};
int Bytes(Type type);  // 0: predicate
bool IsFloat(Type type);
bool IsSigned(Type type);

// An operand as written.
struct SourceOperand {
  enum Kind : uint8_t {
    kName,     // a register, variable or label
    kNumber,   // `bits`, of 64 bits
    kAddress,  // [name + bits] or [bits]
    kVector,   // {parts}
    kSink,     // _
  };
  Kind kind = kName;
  std::string_view name;
  std::string_view second;  // the predicate of `%r1|%p2`
  uint64_t bits = 0;
  int float_bytes = 0;   // of a floating-point literal, else 0
  bool negated = false;  // !%p
  std::vector<SourceOperand> parts;
};

struct Symbol {
  enum Kind : uint8_t { kRegister, kShared, kDynamicShared, kLocal, kParameter, kVariable };
  Kind kind = kRegister;
  uint32_t offset = 0;  // of a register in the file, of other things in their space
  uint16_t width = 0;   // of a register: bytes a lane
};

// The names that a function's instructions may use, innermost scope last, and the register file
// that grows as they do.
class Scopes {
 public:
  explicit Scopes(Function* function) : function_(function) { Push(); }
  void Push() { scopes_.emplace_back(); }
  void Pop() { scopes_.pop_back(); }
  bool Add(std::string name, Symbol symbol) {
    return scopes_.back().emplace(std::move(name), symbol).second;
  }
  const Symbol* Find(std::string_view name) const;
  // A new place in the register file for one register of `width` bytes a lane.
  uint32_t NewSlot(int width);
  // The place that holds the constant in every lane.
  uint32_t ConstantSlot(int width, uint64_t bits, const std::string& variable = {});
  uint32_t SpecialSlotOf(SpecialRegister which);
  Function& function() { return *function_; }
  // Slots that hold addresses of dynamic shared memory, known once all static memory is.
  const std::vector<uint32_t>& dynamic_slots() const { return dynamic_slots_; }
  uint32_t DynamicSlot(int width);

 private:
  Function* function_;
  std::vector<std::unordered_map<std::string, Symbol>> scopes_;
  std::unordered_map<std::string, uint32_t> constant_slots_;
  std::vector<uint32_t> dynamic_slots_;
};

class Decoder {
 public:
  Decoder(std::string_view mnemonic, std::vector<SourceOperand> operands, Scopes* scopes);

  std::string_view opcode() const { return opcode_; }
  Instruction& out() { return out_; }
  Function& function() { return scopes_->function(); }

  // Removes the first modifier equal to `modifier` (without its dot); false if there is none.
  bool Take(std::string_view modifier);
  // Removes the first modifier that is one of `choices` and returns its index, else `otherwise`.
  int TakeOne(std::initializer_list<std::string_view> choices, int otherwise);
  // As TakeOne, but one of them must be there.
  int NeedOne(std::initializer_list<std::string_view> choices, const char* what);
  // Removes the first modifier that is a type. An error if there is none.
  Type TakeType();

  // Fails where the module's target lacks the instruction: 80 is sm_80.
  bool NeedTarget(int least);

  size_t operands() const { return operands_.size(); }
  const SourceOperand& operand(size_t index) const { return operands_[index]; }
  bool NeedOperands(size_t least, size_t most);

  // Adds operand `index` to the decoded ones. A register must have the type's width; with `wider`
  // it may be larger, as for ld, st and cvt.
  void To(size_t index, Type type, bool wider = false);
  void From(size_t index, Type type, bool wider = false);
  // The parts of a vector operand, or the operand itself; out().elements becomes their number.
  void ToVector(size_t index, Type type, bool wider = false);
  void FromVector(size_t index, Type type, bool wider = false);
  // The destination of `%r1|%p2`: to[0] and, where written, to[1].
  void ToPair(size_t index, Type type);
  // An address: from[...] is its register or constant, out().immediate its offset.
  void FromAddress(size_t index);
  // The value of an operand that must be a literal.
  uint64_t Literal(size_t index);
  std::string_view Label(size_t index);

  void Run(Executor executor);  // null: an error, the type does not suit the opcode
  void Fail(const std::string& why);
  // Fails if modifiers are left.
  void Finish();
  const std::string& error() const { return error_; }

 private:
  Operand Resolve(const SourceOperand& source, Type type, bool wider, bool write);
  void AddTo(const Operand& operand);
  void AddFrom(const Operand& operand);

  std::string_view opcode_;
  std::vector<std::string_view> modifiers_;
  std::vector<SourceOperand> operands_;
  Scopes* scopes_;
  Instruction out_;
  size_t tos_ = 0;
  size_t froms_ = 0;
  std::string error_;
};

}  // namespace ninc::emulator
