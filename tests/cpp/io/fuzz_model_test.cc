// Model files and networks from strangers, thousands of them: the entry points that libFuzzer
// drives (tests/fuzz), here with changes of our own and with what it once found.
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "fuzz/fuzz_graph.h"
#include "fuzz/fuzz_model.h"
#include "support/temporary_folder.h"
#include "support/tiny_model.h"

namespace ninc {
namespace {

// A copy of exactly this size, so that AddressSanitizer sees a read past the end.
template <typename Target>
void Try(Target target, const std::string& text) {
  const std::vector<uint8_t> bytes(text.begin(), text.end());
  target(bytes.data(), bytes.size());
}

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

template <typename Target>
void TryMutations(Target target, const std::string& text, int rounds) {
  std::mt19937 random(20130312);
  for (int round = 0; round < rounds; ++round) {
    std::string mutated = text;
    for (size_t changes = 1 + random() % 4; changes > 0; --changes) Mutate(&random, &mutated);
    Try(target, mutated);
  }
}

template <typename Target>
int TryCorpus(Target target, const std::string& name) {
  int count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(NINC_CORPUS) / name)) {
    SCOPED_TRACE(entry.path());
    Try(target, Slurp(entry.path()));
    ++count;
  }
  return count;
}

TEST(FuzzModelTest, AModelOrASentence) { TryMutations(FuzzModel, TinyModelFile(), 20000); }

TEST(FuzzModelTest, AGraphOrASentence) {
  TryMutations(FuzzGraph, TinyModel()->graph().ToJson(), 20000);
}

TEST(FuzzModelTest, TheCorpusIsSurvived) {
  EXPECT_GT(TryCorpus(FuzzModel, "model"), 10);
  EXPECT_GT(TryCorpus(FuzzGraph, "graph"), 10);
}

}  // namespace
}  // namespace ninc
