#include "cuda_emulator/ptx/decoder.h"

#include <algorithm>
#include <array>
#include <utility>

namespace ninc::emulator {
namespace {

constexpr std::array<std::pair<std::string_view, Type>, 16> kTypes = {{
    {"pred", Type::kPred},
    {"b8", Type::kB8},
    {"u8", Type::kU8},
    {"s8", Type::kS8},
    {"b16", Type::kB16},
    {"u16", Type::kU16},
    {"s16", Type::kS16},
    {"f16", Type::kF16},
    {"b32", Type::kB32},
    {"u32", Type::kU32},
    {"s32", Type::kS32},
    {"f32", Type::kF32},
    {"b64", Type::kB64},
    {"u64", Type::kU64},
    {"s64", Type::kS64},
    {"f64", Type::kF64},
}};

constexpr std::array<std::pair<std::string_view, SpecialRegister>, 22> kSpecials = {{
    {"%tid.x", SpecialRegister::kTidX},
    {"%tid.y", SpecialRegister::kTidY},
    {"%tid.z", SpecialRegister::kTidZ},
    {"%ntid.x", SpecialRegister::kNtidX},
    {"%ntid.y", SpecialRegister::kNtidY},
    {"%ntid.z", SpecialRegister::kNtidZ},
    {"%ctaid.x", SpecialRegister::kCtaidX},
    {"%ctaid.y", SpecialRegister::kCtaidY},
    {"%ctaid.z", SpecialRegister::kCtaidZ},
    {"%nctaid.x", SpecialRegister::kNctaidX},
    {"%nctaid.y", SpecialRegister::kNctaidY},
    {"%nctaid.z", SpecialRegister::kNctaidZ},
    {"%laneid", SpecialRegister::kLaneId},
    {"%warpid", SpecialRegister::kWarpId},
    {"%nwarpid", SpecialRegister::kNwarpId},
    {"%lanemask_eq", SpecialRegister::kLanemaskEq},
    {"%lanemask_le", SpecialRegister::kLanemaskLe},
    {"%lanemask_lt", SpecialRegister::kLanemaskLt},
    {"%lanemask_ge", SpecialRegister::kLanemaskGe},
    {"%lanemask_gt", SpecialRegister::kLanemaskGt},
    {"%dynamic_smem_size", SpecialRegister::kDynamicSharedSize},
    {"%total_smem_size", SpecialRegister::kTotalSharedSize},
}};

}  // namespace

int Bytes(Type type) {
  switch (type) {
    case Type::kNone:
    case Type::kPred:
      return 0;
    case Type::kB8:
    case Type::kU8:
    case Type::kS8:
      return 1;
    case Type::kB16:
    case Type::kU16:
    case Type::kS16:
    case Type::kF16:
      return 2;
    case Type::kB32:
    case Type::kU32:
    case Type::kS32:
    case Type::kF32:
      return 4;
    default:
      return 8;
  }
}

bool IsFloat(Type type) { return type == Type::kF16 || type == Type::kF32 || type == Type::kF64; }

bool IsSigned(Type type) {
  return type == Type::kS8 || type == Type::kS16 || type == Type::kS32 || type == Type::kS64;
}

const Symbol* Scopes::Find(std::string_view name) const {
  const std::string key(name);
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (auto found = scope->find(key); found != scope->end()) return &found->second;
  }
  return nullptr;
}

uint32_t Scopes::NewSlot(int width) {
  // Lanes of a register begin at a cache line, for the vector loads of the executors.
  const uint32_t bytes = width == 0 ? 4 : static_cast<uint32_t>(width) * kLanes;
  uint32_t& end = function_->register_file_bytes;
  if (width != 0) end = (end + 63) & ~63u;
  const uint32_t slot = end;
  end += bytes;
  return slot;
}

uint32_t Scopes::ConstantSlot(int width, uint64_t bits, const std::string& variable) {
  if (width < 8 && width > 0) bits &= (uint64_t{1} << (8 * width)) - 1;
  const std::string key = std::to_string(width) + " " + std::to_string(bits) + " " + variable;
  const auto [found, fresh] = constant_slots_.emplace(key, 0);
  if (fresh) {
    found->second = NewSlot(width);
    function_->constants.push_back({found->second, static_cast<uint32_t>(width), bits, variable});
  }
  return found->second;
}

uint32_t Scopes::DynamicSlot(int width) {
  const uint32_t slot = NewSlot(width);
  function_->constants.push_back({slot, static_cast<uint32_t>(width), 0, {}});
  dynamic_slots_.push_back(slot);
  return slot;
}

uint32_t Scopes::SpecialSlotOf(SpecialRegister which) {
  for (const SpecialSlot& slot : function_->specials) {
    if (slot.which == which) return slot.offset;
  }
  function_->specials.push_back({which, NewSlot(4)});
  return function_->specials.back().offset;
}

Decoder::Decoder(std::string_view mnemonic, std::vector<SourceOperand> operands, Scopes* scopes)
    : operands_(std::move(operands)), scopes_(scopes) {
  size_t at = 0;
  while (at <= mnemonic.size()) {
    const size_t end = std::min(mnemonic.find('.', at), mnemonic.size());
    modifiers_.push_back(mnemonic.substr(at, end - at));
    at = end + 1;
  }
  opcode_ = modifiers_.front();
  modifiers_.erase(modifiers_.begin());
}

bool Decoder::Take(std::string_view modifier) {
  const auto found = std::find(modifiers_.begin(), modifiers_.end(), modifier);
  if (found == modifiers_.end()) return false;
  modifiers_.erase(found);
  return true;
}

int Decoder::TakeOne(std::initializer_list<std::string_view> choices, int otherwise) {
  for (auto modifier = modifiers_.begin(); modifier != modifiers_.end(); ++modifier) {
    const auto choice = std::find(choices.begin(), choices.end(), *modifier);
    if (choice == choices.end()) continue;
    modifiers_.erase(modifier);
    return static_cast<int>(choice - choices.begin());
  }
  return otherwise;
}

int Decoder::NeedOne(std::initializer_list<std::string_view> choices, const char* what) {
  const int choice = TakeOne(choices, -1);
  if (choice < 0) Fail(std::string("no ") + what + " that is known");
  return std::max(choice, 0);
}

Type Decoder::TakeType() {
  for (auto modifier = modifiers_.begin(); modifier != modifiers_.end(); ++modifier) {
    for (const auto& [name, type] : kTypes) {
      if (name != *modifier) continue;
      modifiers_.erase(modifier);
      return type;
    }
  }
  Fail("no type that is known");
  return Type::kNone;
}

bool Decoder::NeedTarget(int least) {
  const int target = function().target;
  if (target >= least) return true;
  Fail("needs sm_" + std::to_string(least) + " or later, and the target is sm_" +
       std::to_string(target));
  return false;
}

bool Decoder::NeedOperands(size_t least, size_t most) {
  if (operands() >= least && operands() <= most) return true;
  Fail(std::to_string(operands()) + " operands");
  return false;
}

Operand Decoder::Resolve(const SourceOperand& source, Type type, bool wider, bool write) {
  const int width = Bytes(type);
  if (source.kind == SourceOperand::kNumber && !write) {
    if (type == Type::kPred) {
      Fail("a number in the place of a predicate");
      return {};
    }
    if (source.float_bytes != 0 && source.float_bytes != width) {
      Fail("a floating-point literal of another width");
    }
    // Bytes have no registers of their own: their values live in 16-bit ones.
    const int slot = std::max(width, 2);
    return {scopes_->ConstantSlot(slot, source.bits), static_cast<uint16_t>(slot), false};
  }
  if (source.kind != SourceOperand::kName) {
    Fail("an operand of a kind that does not suit it");
    return {};
  }
  if (const Symbol* symbol = scopes_->Find(source.name)) {
    const auto bytes = static_cast<uint16_t>(width);
    switch (symbol->kind) {
      case Symbol::kRegister: {
        const bool predicate = (symbol->width == 0) == (type == Type::kPred);
        if (!predicate || symbol->width < width || (symbol->width > width && !wider)) {
          Fail("register " + std::string(source.name) + " has " +
               std::to_string(8 * symbol->width) + " bits where the type has " +
               std::to_string(8 * width));
        }
        return {symbol->offset, symbol->width, source.negated};
      }
      case Symbol::kDynamicShared:
        if (!write) return {scopes_->DynamicSlot(width), bytes, false};
        break;
      case Symbol::kVariable:
        if (!write && width == 8) {
          return {scopes_->ConstantSlot(8, 0, std::string(source.name)), 8, false};
        }
        break;
      default:
        if (!write && width >= 4) {
          return {scopes_->ConstantSlot(width, symbol->offset), bytes, false};
        }
    }
    Fail("the address of " + std::string(source.name) + " in a place that does not suit it");
    return {};
  }
  for (const auto& [name, which] : kSpecials) {
    if (name == source.name && !write && (width == 4 || (wider && width < 4))) {
      return {scopes_->SpecialSlotOf(which), 4, false};
    }
  }
  Fail("unknown name " + std::string(source.name));
  return {};
}

void Decoder::AddTo(const Operand& operand) {
  if (tos_ == out_.to.size()) return Fail("too many destinations");
  out_.to[tos_++] = operand;
}

void Decoder::AddFrom(const Operand& operand) {
  if (froms_ == out_.from.size()) return Fail("too many sources");
  out_.from[froms_++] = operand;
}

void Decoder::To(size_t index, Type type, bool wider) {
  if (operands_[index].kind == SourceOperand::kSink) {
    // Written and never read: a slot of its own spares executors the question.
    return AddTo({scopes_->NewSlot(Bytes(type)), static_cast<uint16_t>(Bytes(type)), false});
  }
  AddTo(Resolve(operands_[index], type, wider, true));
}

void Decoder::From(size_t index, Type type, bool wider) {
  AddFrom(Resolve(operands_[index], type, wider, false));
}

void Decoder::ToVector(size_t index, Type type, bool wider) {
  if (operands_[index].kind != SourceOperand::kVector) return To(index, type, wider);
  out_.elements = static_cast<uint8_t>(operands_[index].parts.size());
  for (const SourceOperand& part : operands_[index].parts) {
    if (part.kind == SourceOperand::kSink) {
      AddTo({scopes_->NewSlot(Bytes(type)), static_cast<uint16_t>(Bytes(type)), false});
    } else {
      AddTo(Resolve(part, type, wider, true));
    }
  }
}

void Decoder::FromVector(size_t index, Type type, bool wider) {
  if (operands_[index].kind != SourceOperand::kVector) return From(index, type, wider);
  out_.elements = static_cast<uint8_t>(operands_[index].parts.size());
  for (const SourceOperand& part : operands_[index].parts) {
    AddFrom(Resolve(part, type, wider, false));
  }
}

void Decoder::ToPair(size_t index, Type type) {
  To(index, type);
  if (operands_[index].second.empty()) return;
  SourceOperand second;
  second.name = operands_[index].second;
  AddTo(Resolve(second, Type::kPred, false, true));
}

void Decoder::FromAddress(size_t index) {
  const SourceOperand& source = operands_[index];
  if (source.kind != SourceOperand::kAddress) return Fail("no address in brackets");
  out_.immediate = static_cast<int64_t>(source.bits);
  if (source.name.empty()) return AddFrom({scopes_->ConstantSlot(8, 0), 8, false});
  SourceOperand base;
  base.name = source.name;
  const Symbol* symbol = scopes_->Find(source.name);
  const bool narrow = symbol != nullptr && symbol->kind == Symbol::kRegister && symbol->width == 4;
  AddFrom(Resolve(base, narrow ? Type::kB32 : Type::kB64, false, false));
}

uint64_t Decoder::Literal(size_t index) {
  if (operands_[index].kind != SourceOperand::kNumber) Fail("no literal where one is needed");
  return operands_[index].bits;
}

std::string_view Decoder::Label(size_t index) {
  if (operands_[index].kind != SourceOperand::kName) Fail("no label where one is needed");
  return operands_[index].name;
}

void Decoder::Run(Executor executor) {
  if (executor == nullptr) return Fail("a type that does not suit it");
  out_.run = executor;
}

void Decoder::Fail(const std::string& why) {
  if (error_.empty()) error_ = why;
}

void Decoder::Finish() {
  if (!modifiers_.empty()) Fail("unknown modifier ." + std::string(modifiers_.front()));
  if (out_.run == nullptr) Fail("nothing to run");
}

}  // namespace ninc::emulator
