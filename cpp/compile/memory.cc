// Values of a run lie in one arena: the largest first, each in the smallest gap that is free for
// all of its life. Not the least memory possible, which is a hard problem, but near it, since a
// network's values die in about the order they were made.
#include "compile/memory.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace ninc {
namespace {

// Steps [first, last] of a value's life.
struct Lifetime {
  int64_t first = std::numeric_limits<int64_t>::max();
  int64_t last = -1;
  bool Overlaps(const Lifetime& other) const { return first <= other.last && other.first <= last; }
  void Extend(int64_t step) {
    first = std::min(first, step);
    last = std::max(last, step);
  }
};

std::vector<Lifetime> FindLifetimes(const Program& program) {
  std::vector<Lifetime> lives(program.values.size());
  const auto steps = static_cast<int64_t>(program.steps.size());
  for (int64_t i = 0; i < steps; ++i) {
    const Operands operands = program.steps[i].operands();
    for (const auto* list : {&operands.reads, &operands.writes}) {
      for (ValueId v : *list) {
        if (v == kNoValue) continue;
        lives[v].Extend(i);
        if (program.values[v].keep || program.values[v].lasting) lives[v].Extend(steps);
        if (program.values[v].lasting) lives[v].Extend(0);
      }
    }
  }
  return lives;
}

// One or more values that share a place because each took over the last one's memory.
struct Buffer {
  size_t bytes = 0;
  Lifetime life;
  size_t offset = 0;
};

struct Buffers {
  std::vector<int32_t> of_value;  // -1: not in the arena
  std::vector<Buffer> list;
};

Buffers MakeBuffers(const Program& program, const std::vector<Lifetime>& lives) {
  Buffers buffers{std::vector<int32_t>(program.values.size(), -1), {}};
  // The buffer that `result` of step `i` may take over, or -1.
  const auto reusable = [&](const Operands& operands, ValueId result, int64_t i) {
    for (ValueId v : operands.in_place) {
      if (v == kNoValue || buffers.of_value[v] < 0) continue;
      if (lives[v].last == i && program.values[v].bytes == program.values[result].bytes) {
        return buffers.of_value[v];
      }
    }
    return int32_t{-1};
  };
  for (int64_t i = 0; i < static_cast<int64_t>(program.steps.size()); ++i) {
    const Operands operands = program.steps[i].operands();
    for (ValueId v : operands.writes) {
      if (v == kNoValue || buffers.of_value[v] >= 0) continue;
      const Value& value = program.values[v];
      if (value.kind != ValueKind::kArena) continue;
      int32_t buffer = v == operands.writes[0] ? reusable(operands, v, i) : -1;
      if (buffer < 0) {
        buffer = static_cast<int32_t>(buffers.list.size());
        buffers.list.push_back({WorkspaceSize::Aligned(value.bytes), {}, 0});
      }
      buffers.of_value[v] = buffer;
      buffers.list[buffer].life.Extend(lives[v].first);
      buffers.list[buffer].life.Extend(lives[v].last);
    }
  }
  return buffers;
}

// The start of the smallest gap of at least `bytes` between `taken`, sorted by offset; after them
// all where no gap is large enough.
size_t FindGap(const std::vector<const Buffer*>& taken, size_t bytes) {
  size_t best = 0, best_size = std::numeric_limits<size_t>::max();
  size_t end = 0;
  for (const Buffer* buffer : taken) {
    if (buffer->offset > end && buffer->offset - end >= bytes && buffer->offset - end < best_size) {
      best = end;
      best_size = buffer->offset - end;
    }
    end = std::max(end, buffer->offset + buffer->bytes);
  }
  return best_size == std::numeric_limits<size_t>::max() ? end : best;
}

size_t Place(std::vector<Buffer>* buffers) {
  std::vector<Buffer*> order;
  for (Buffer& buffer : *buffers) order.push_back(&buffer);
  std::stable_sort(order.begin(), order.end(),
                   [](const Buffer* a, const Buffer* b) { return a->bytes > b->bytes; });
  const auto by_offset = [](const Buffer* a, const Buffer* b) { return a->offset < b->offset; };
  std::vector<const Buffer*> placed, taken;  // `placed` stays sorted by offset
  size_t total = 0;
  for (Buffer* buffer : order) {
    taken.clear();
    std::copy_if(placed.begin(), placed.end(), std::back_inserter(taken),
                 [&](const Buffer* other) { return other->life.Overlaps(buffer->life); });
    buffer->offset = FindGap(taken, buffer->bytes);
    total = std::max(total, buffer->offset + buffer->bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), buffer, by_offset), buffer);
  }
  return total;
}

}  // namespace

MemoryLayout PlanMemory(const Program& program) {
  Buffers buffers = MakeBuffers(program, FindLifetimes(program));
  MemoryLayout layout;
  layout.bytes = Place(&buffers.list);
  layout.offsets.resize(program.values.size());
  for (size_t v = 0; v < program.values.size(); ++v) {
    if (buffers.of_value[v] >= 0) layout.offsets[v] = buffers.list[buffers.of_value[v]].offset;
  }
  return layout;
}

std::string FindOverlap(const Program& program, const MemoryLayout& layout) {
  const std::vector<Lifetime> lives = FindLifetimes(program);
  std::vector<ValueId> in_arena;
  for (ValueId v = 0; v < static_cast<ValueId>(program.values.size()); ++v) {
    if (program.values[v].kind == ValueKind::kArena && lives[v].last >= 0) in_arena.push_back(v);
  }
  // A result may stand where an operand that dies in the same step stood, if the step says so.
  const auto in_place = [&](ValueId earlier, ValueId later) {
    if (lives[earlier].last != lives[later].first) return false;
    const Operands operands = program.steps[lives[later].first].operands();
    return operands.writes[0] == later && layout.offsets[earlier] == layout.offsets[later] &&
           std::find(operands.in_place.begin(), operands.in_place.end(), earlier) !=
               operands.in_place.end();
  };
  for (ValueId a : in_arena) {
    if (layout.offsets[a] + program.values[a].bytes > layout.bytes) {
      return "value " + std::to_string(a) + " ends past the arena";
    }
    for (ValueId b : in_arena) {
      if (a >= b || !lives[a].Overlaps(lives[b]) || in_place(a, b) || in_place(b, a)) continue;
      if (layout.offsets[a] < layout.offsets[b] + program.values[b].bytes &&
          layout.offsets[b] < layout.offsets[a] + program.values[a].bytes) {
        return "values " + std::to_string(a) + " and " + std::to_string(b) + " overlap";
      }
    }
  }
  return {};
}

}  // namespace ninc
