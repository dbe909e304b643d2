// A PTX module made ready to run: every instruction decoded, every variable placed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cuda_emulator/machine/memory.h"
#include "cuda_emulator/ptx/instruction.h"
#include "ninc/status.h"

namespace ninc::emulator {

struct Parameter {
  std::string name;
  uint32_t offset = 0;
  uint32_t size = 0;
  uint32_t alignment = 1;
};

// A value that every lane's copy of a slot holds from the start: an immediate operand, or the
// address of a module variable once the module has been placed.
struct Constant {
  uint32_t offset = 0;  // in a warp's registers
  uint32_t width = 0;   // bytes
  uint64_t bits = 0;
  std::string variable;  // not empty: its address is added
};

enum class SpecialRegister : uint8_t {
  kTidX,
  kTidY,
  kTidZ,
  kNtidX,
  kNtidY,
  kNtidZ,
  kCtaidX,
  kCtaidY,
  kCtaidZ,
  kNctaidX,
  kNctaidY,
  kNctaidZ,
  kLaneId,
  kWarpId,
  kNwarpId,
  kLanemaskEq,
  kLanemaskLe,
  kLanemaskLt,
  kLanemaskGe,
  kLanemaskGt,
  kDynamicSharedSize,
  kTotalSharedSize,
};

struct SpecialSlot {
  SpecialRegister which;
  uint32_t offset = 0;  // in a warp's registers, 32 bits a lane
};

// One entry of a module.
struct Function {
  std::string name;
  int target = 0;  // the module's, 80 is sm_80
  std::vector<Parameter> parameters;
  uint32_t parameter_bytes = 0;
  uint32_t static_shared_bytes = 0;
  uint32_t dynamic_shared_offset = 0;  // where extern shared memory begins, after the static part
  uint32_t local_bytes = 0;            // a thread
  uint32_t registers = 0;              // declared virtual registers, predicates included
  uint32_t max_threads = 1024;         // of a block: .maxntid or .reqntid
  uint32_t min_blocks = 0;             // .minnctapersm, 0 if absent
  bool global_atomics = false;         // then blocks run one after another, for the same bits
  bool shared_bytes_touched = false;   // by accesses of less than 4 bytes: races found bytewise

  std::vector<Instruction> code;
  std::vector<std::string> text;  // of each instruction, as written
  uint32_t register_file_bytes = 0;
  std::vector<Constant> constants;
  std::vector<SpecialSlot> specials;
};

// A .global or .const variable.
struct Variable {
  std::string name;
  size_t bytes = 0;
  std::vector<std::byte> contents;  // all of it: what has no initial value is zero
  uint64_t address = 0;             // once placed
};

class Module {
 public:
  // Errors name the line and the opcode, modifier or directive that the emulator does not know.
  static Result<std::unique_ptr<Module>> Parse(std::string_view ptx);

  // Allocates and fills the module's variables. Before the first launch, also where there are none.
  Status Place(GlobalMemory* memory);
  // Gives the variables' memory back.
  void Remove(GlobalMemory* memory);

  const Function* Find(std::string_view entry) const;  // null if there is no such entry
  const std::vector<std::unique_ptr<Function>>& functions() const { return functions_; }
  const Variable* FindVariable(std::string_view name) const;

 private:
  friend class Parser;

  std::vector<std::unique_ptr<Function>> functions_;
  std::vector<Variable> variables_;
};

}  // namespace ninc::emulator
