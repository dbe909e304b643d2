#include "cuda_emulator/machine/control_flow.h"

#include <algorithm>
#include <vector>

#include "cuda_emulator/instructions/opcodes.h"

namespace ninc::emulator {
namespace {

struct BasicBlock {
  uint32_t begin = 0;
  uint32_t end = 0;
  std::vector<size_t> successors;
  std::vector<size_t> predecessors;
  std::vector<bool> dominators;
  std::vector<size_t> loops;  // headers of the loops it is in
  size_t waits_for = 0;       // predecessors not yet placed, ends of loops left out
  bool reachable = false;
  bool placed = false;
};

using Blocks = std::vector<BasicBlock>;

Blocks CutIntoBlocks(const std::vector<Instruction>& code) {
  std::vector<bool> begins(code.size() + 1);
  begins[0] = true;
  for (size_t i = 0; i < code.size(); ++i) {
    if (code[i].target != kNone) begins[code[i].target] = true;
    if (code[i].target != kNone || EndsFlow(code[i])) begins[i + 1] = true;
  }
  Blocks blocks;
  std::vector<size_t> block_of(code.size());
  for (uint32_t i = 0; i < code.size(); ++i) {
    if (begins[i]) blocks.push_back({.begin = i});
    blocks.back().end = i + 1;
    block_of[i] = blocks.size() - 1;
  }
  for (size_t b = 0; b < blocks.size(); ++b) {
    const Instruction& last = code[blocks[b].end - 1];
    if (last.target != kNone) blocks[b].successors.push_back(block_of[last.target]);
    if (!EndsFlow(last) && b + 1 < blocks.size()) blocks[b].successors.push_back(b + 1);
    for (const size_t s : blocks[b].successors) blocks[s].predecessors.push_back(b);
  }
  return blocks;
}

void FindDominators(Blocks* blocks) {
  std::vector<size_t> stack = {0};
  while (!stack.empty()) {
    BasicBlock& block = (*blocks)[stack.back()];
    stack.pop_back();
    if (block.reachable) continue;
    block.reachable = true;
    stack.insert(stack.end(), block.successors.begin(), block.successors.end());
  }
  for (BasicBlock& block : *blocks) block.dominators.assign(blocks->size(), true);
  (*blocks)[0].dominators.assign(blocks->size(), false);
  (*blocks)[0].dominators[0] = true;
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t b = 1; b < blocks->size(); ++b) {
      BasicBlock& block = (*blocks)[b];
      std::vector<bool> common(blocks->size(), true);
      for (const size_t p : block.predecessors) {
        if (!(*blocks)[p].reachable) continue;
        for (size_t i = 0; i < common.size(); ++i) {
          common[i] = common[i] && (*blocks)[p].dominators[i];
        }
      }
      common[b] = true;
      if (block.reachable && common != block.dominators) {
        block.dominators = std::move(common);
        changed = true;
      }
    }
  }
}

// Marks the blocks of each loop: those that lead to its end without passing its header.
void FindLoops(Blocks* blocks) {
  for (size_t header = 0; header < blocks->size(); ++header) {
    std::vector<bool> inside(blocks->size());
    std::vector<size_t> stack;
    for (const size_t p : (*blocks)[header].predecessors) {
      if ((*blocks)[p].reachable && (*blocks)[p].dominators[header]) stack.push_back(p);
    }
    if (stack.empty()) continue;
    inside[header] = true;
    while (!stack.empty()) {
      const size_t b = stack.back();
      stack.pop_back();
      if (inside[b]) continue;
      inside[b] = true;
      const auto& before = (*blocks)[b].predecessors;
      stack.insert(stack.end(), before.begin(), before.end());
    }
    for (size_t b = 0; b < blocks->size(); ++b) {
      if (inside[b]) (*blocks)[b].loops.push_back(header);
    }
  }
}

bool IsIn(const BasicBlock& block, size_t header) {
  return std::find(block.loops.begin(), block.loops.end(), header) != block.loops.end();
}

// The next block: a ready one of the innermost loop that is begun and not finished, the first as
// written. Where nothing is ready, which takes a loop of several entries, the first of any.
size_t Choose(const Blocks& blocks, const std::vector<size_t>& open) {
  for (auto loop = open.rbegin(); loop != open.rend(); ++loop) {
    for (size_t b = 0; b < blocks.size(); ++b) {
      if (!blocks[b].placed && blocks[b].waits_for == 0 && IsIn(blocks[b], *loop)) return b;
    }
  }
  for (const bool ready : {true, false}) {
    for (size_t b = 0; b < blocks.size(); ++b) {
      if (!blocks[b].placed && (blocks[b].waits_for == 0 || !ready)) return b;
    }
  }
  return 0;
}

std::vector<size_t> Order(Blocks* blocks) {
  for (size_t b = 0; b < blocks->size(); ++b) {
    for (const size_t p : (*blocks)[b].predecessors) {
      const BasicBlock& before = (*blocks)[p];
      (*blocks)[b].waits_for += before.reachable && !before.dominators[b];
    }
  }
  std::vector<size_t> order;
  std::vector<size_t> open;  // headers of loops, innermost last
  while (order.size() < blocks->size()) {
    const size_t b = Choose(*blocks, open);
    BasicBlock& block = (*blocks)[b];
    block.placed = true;
    order.push_back(b);
    if (IsIn(block, b)) open.push_back(b);
    if (!block.reachable) continue;
    for (const size_t s : block.successors) {
      BasicBlock& after = (*blocks)[s];
      if (!block.dominators[s] && after.waits_for > 0) --after.waits_for;
    }
  }
  return order;
}

}  // namespace

void ArrangeBlocks(Function* function) {
  std::vector<Instruction>& code = function->code;
  Blocks blocks = CutIntoBlocks(code);
  FindDominators(&blocks);
  FindLoops(&blocks);
  std::vector<uint32_t> place(code.size() + 1, kNone);
  std::vector<Instruction> arranged;
  arranged.reserve(code.size());
  for (const size_t b : Order(&blocks)) {
    for (uint32_t i = blocks[b].begin; i < blocks[b].end; ++i) {
      place[i] = static_cast<uint32_t>(arranged.size());
      arranged.push_back(code[i]);
    }
  }
  for (Instruction& instruction : arranged) {
    instruction.next = place[instruction.number + 1];
    if (instruction.target != kNone) instruction.target = place[instruction.target];
  }
  code = std::move(arranged);
}

}  // namespace ninc::emulator
