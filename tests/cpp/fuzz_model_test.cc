// Model files from strangers, thousands of them. With clang the same entry point serves libFuzzer:
// compile this file with -fsanitize=fuzzer -DNINC_LIBFUZZER and link the core's objects.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ninc/model.h"

// Loads the bytes and, if they are a model of moderate size, runs it on a small picture.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kModerate = 1 << 16;
  const auto model = ninc::LoadMemory(data, size, "fuzz");
  if (!model.ok()) return 0;
  const ninc::Graph& graph = model.value()->graph();
  const auto* input_op = std::get_if<ninc::op::Input>(&graph.node(0).op);
  if (input_op == nullptr || input_op->channels > kModerate) return 0;
  const ninc::Shape input{1, 8, 8, input_op->channels};
  const auto shapes = graph.InferShapes(input);
  if (!shapes.ok()) return 0;
  for (const ninc::Shape& shape : shapes.value()) {
    if (shape.size() > kModerate) return 0;
  }
  const std::vector<float> x(static_cast<size_t>(input.size()), 1.0f);
  std::vector<float> y(static_cast<size_t>(shapes.value()[graph.output()].size()));
  const ninc::StridedView view{x.data(), {input.size(), 64, 8, 1}};
  if (!model.value()->Run(input, view, y.data()).ok()) __builtin_trap();
  return 0;
}

#if !defined(NINC_LIBFUZZER)

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tiny_model.h"

namespace ninc {
namespace {

// One of: another byte, a bit turned, a piece cut out, a piece repeated, a digit for a digit.
void Mutate(std::mt19937* random, std::string* file) {
  const auto below = [&](size_t limit) { return (*random)() % limit; };
  if (file->empty()) return;
  const size_t at = below(file->size());
  switch (below(5)) {
    case 0:
      (*file)[at] = static_cast<char>(below(256));
      break;
    case 1:
      (*file)[at] ^= static_cast<char>(1 << below(8));
      break;
    case 2:
      file->erase(at, below(16));
      break;
    case 3:
      file->insert(below(file->size()), file->substr(at, below(64)));
      break;
    default:
      for (size_t i = at; i < file->size(); ++i) {
        if ((*file)[i] < '0' || (*file)[i] > '9') continue;
        (*file)[i] = static_cast<char>('0' + below(10));
        break;
      }
  }
}

TEST(FuzzModelTest, AModelOrASentence) {
  const std::string file = TinyModelFile();
  std::mt19937 random(20130312);
  for (int round = 0; round < 20000; ++round) {
    std::string mutated = file;
    for (size_t changes = 1 + random() % 4; changes > 0; --changes) Mutate(&random, &mutated);
    // A copy of exactly this size, so that AddressSanitizer sees a read past the end.
    const std::vector<uint8_t> bytes(mutated.begin(), mutated.end());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
}

}  // namespace
}  // namespace ninc

#endif
