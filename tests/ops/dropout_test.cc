// Dropout: the masks of every backend are those of the generator's definition.
#include "reference/dropout.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/philox.h"
#include "support/step_check.h"

namespace ninc::test {
namespace {

// The known answers that come with the authors' Random123.
TEST(PhiloxTest, KnownAnswers) {
  const struct {
    std::array<uint32_t, 4> counter;
    std::array<uint32_t, 2> key;
    std::array<uint32_t, 4> words;
  } answers[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const auto& answer : answers) {
    EXPECT_EQ(reference::Philox4x32(answer.counter, answer.key), answer.words);
    EXPECT_EQ(ninc::Philox4x32(answer.counter, answer.key), answer.words);
  }
}

// What decides a mask.
struct Draw {
  DropoutKey key;
  uint32_t layer = 0;
};

const Draw kDraws[] = {
    {}, {{1234567890123456789, 17}, 3}, {{~uint64_t{0}, ~uint64_t{0}}, ~uint32_t{0}}};

// Outputs: y, and y in place of x.
Steps Drop(const Draw& draw, float p, const std::vector<float>& x) {
  return [&draw, p, &x](StepCall& call) {
    StepState* const state = call.Values<StepState>({{.key = draw.key}});
    const step::Dropout step{p, draw.layer, 0, 1};
    call.Run(step, {call.In(x), call.Out(static_cast<int64_t>(x.size()))}, {.state = state});
    const StepArray in_place = call.InOut(x);
    call.Run(step, {in_place, in_place}, {.state = state});
  };
}

std::string NameOf(const std::vector<float>& x, float p) {
  return std::to_string(x.size()) + " values, p " + std::to_string(p);
}

TEST(DropoutTest, EqualsTheReferenceAndTheProcessor) {
  for (int64_t count : {0, 1, 3, 4, 5, 63, 64, 65, 1000, 16384, 40001}) {
    const std::vector<float> x = Random(count, 1);
    for (const Draw& draw : kDraws) {
      for (float p : {0.0f, 0.1f, 0.5f, 0.9f, 1.0f}) {
        // 1/(1 - 1) times what is never kept
        const std::vector<double> want = p == 1.0f ? std::vector<double>(count, 0.0)
                                                   : reference::Dropout(p, draw.layer, draw.key, x);
        const Outputs processors = OnProcessor(Drop(draw, p, x));
        OnEveryBackend(NameOf(x, p), Drop(draw, p, x), [&](const Outputs& got) {
          for (const std::vector<float>& y : got) {
            ExpectClose(y, want, Magnitudes(want), 1);
            ExpectSameValues(y, processors[0]);
          }
        });
      }
    }
  }
}

// A run of some of a batch's examples drops what a run of all drops of them, also where they begin
// in the middle of a block of words.
TEST(DropoutTest, AShardHasItsPartOfTheMask) {
  constexpr int64_t kExamples = 7;
  for (int64_t each : {1, 3, 16, 333}) {
    const Draw whole{{99, 5}, 2};
    const std::vector<float> x = Random(kExamples * each, 3);
    const std::vector<double> all = reference::Dropout(0.4f, whole.layer, whole.key, x);
    for (int64_t first : {1, 2, 6}) {
      const Shape shape{kExamples - first, 1, 1, each};
      const std::vector<float> shard(x.begin() + first * each, x.end());
      const std::vector<double> want(all.begin() + first * each, all.end());
      const Draw draw{{99, 5, first}, 2};
      const auto drop = [&](StepCall& call) {
        StepState* const state = call.Values<StepState>({{.key = draw.key}});
        call.Run(step::Dropout{0.4f, draw.layer, 0, 1}, {call.In(shape, shard), call.Out(shape)},
                 {.state = state});
      };
      OnEveryBackend(NameOf(shard, 0.4f), drop,
                     [&](const Outputs& got) { ExpectClose(got[0], want, Magnitudes(want), 1); });
    }
  }
}

// More values than the threads of a GPU's largest grid take in one turn.
TEST(DropoutTest, ThreadsGoOn) {
  if (!OnGpu()) GTEST_SKIP() << "of the GPU alone";
  const std::vector<float> x = Random(2200001, 2);
  const Outputs processors = OnProcessor(Drop(kDraws[1], 0.5f, x));
  OnEveryBackend(NameOf(x, 0.5f), Drop(kDraws[1], 0.5f, x), [&](const Outputs& got) {
    for (const std::vector<float>& y : got) ExpectSameValues(y, processors[0]);
  });
}

std::vector<float> Mask(const Draw& draw, float p) {
  return OnProcessor(Drop(draw, p, std::vector<float>(100000, 1.0f)))[0];
}

TEST(DropoutTest, EverySeedStepAndLayerHasItsOwnMask) {
  const Draw draw{{1, 2}, 3};
  const std::vector<float> mask = Mask(draw, 0.5f);
  for (const Draw& other :
       {Draw{{2, 2}, 3}, Draw{{1, 3}, 3}, Draw{{1, 2}, 4}, Draw{{1, 2 + (uint64_t{1} << 32)}, 3},
        Draw{{1 + (uint64_t{1} << 32), 2}, 3}}) {
    const std::vector<float> other_mask = Mask(other, 0.5f);
    int64_t same = 0;
    for (size_t i = 0; i < mask.size(); ++i) same += mask[i] == other_mask[i];
    // Half of them by chance; 100,000 coins stray by 158 (one standard deviation).
    EXPECT_NEAR(static_cast<double>(same), 50000.0, 5 * 158.0);
  }
}

TEST(DropoutTest, DropsTheShareItShould) {
  for (float p : {0.1f, 0.5f, 0.8f}) {
    const std::vector<float> mask = Mask({{7, 0}}, p);
    const auto dropped = static_cast<double>(std::count(mask.begin(), mask.end(), 0.0f));
    const double deviation = std::sqrt(1e5 * p * (1.0 - p));
    EXPECT_NEAR(dropped, 1e5 * p, 5 * deviation);
  }
}

// A diverged network is to be seen, but a dropped position shows nothing.
TEST(DropoutTest, NanIsKeptOrDropped) {
  const std::vector<float> x(64, std::numeric_limits<float>::quiet_NaN());
  const std::vector<double> kept = reference::Dropout(0.5f, 0, {}, std::vector<float>(64, 1.0f));
  const Draw draw;
  OnEveryBackend("NaN", Drop(draw, 0.5f, x), [&](const Outputs& got) {
    for (const std::vector<float>& y : got) {
      for (size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(std::isnan(y[i]), kept[i] != 0.0);
    }
  });
}

}  // namespace
}  // namespace ninc::test
