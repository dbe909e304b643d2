#include "cpu/elementwise/dropout.h"

#include "base/philox.h"
#include "cases.h"
#include "check.h"
#include "reference/dropout.h"

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
    EXPECT_EQ(cpu::Philox4x32(answer.counter, answer.key), answer.words);
  }
}

// What decides a mask.
struct Draw {
  DropoutKey key;
  uint32_t layer = 0;
};

const Draw kDraws[] = {
    {}, {{1234567890123456789, 17}, 3}, {{~uint64_t{0}, ~uint64_t{0}}, ~uint32_t{0}}};

TEST(DropoutTest, EqualsTheReference) {
  for (int64_t count : {0, 1, 3, 4, 5, 63, 64, 65, 1000, 16384, 40001}) {
    const std::vector<float> x = Random(count, 1);
    for (const auto& [key, layer] : kDraws) {
      for (float p : {0.0f, 0.1f, 0.5f, 0.9f, 1.0f}) {
        // 1/(1 - 1) times what is never kept
        const std::vector<double> want =
            p == 1.0f ? std::vector<double>(count, 0.0) : reference::Dropout(p, layer, key, x);
        OnEveryTarget(
            std::to_string(count) + " values, p " + std::to_string(p),
            [&](Call& call) {
              cpu::Dropout(ChosenTarget(), count, p, layer, key, call.In(x), call.Out(count),
                           call.threads());
              float* in_place = call.InOut(x);
              cpu::Dropout(ChosenTarget(), count, p, layer, key, in_place, in_place,
                           call.threads());
            },
            [&](const Outputs& got) {
              ExpectClose(got[0], want, Magnitudes(want), 1);
              ExpectClose(got[1], want, Magnitudes(want), 1);
            });
      }
    }
  }
}

std::vector<float> Mask(const Draw& draw, float p) {
  const int64_t count = 100000;
  const std::vector<float> ones(count, 1.0f);
  std::vector<float> mask(count);
  cpu::Dropout(ChosenTarget(), count, p, draw.layer, draw.key, ones.data(), mask.data(), 1);
  return mask;
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
  OnEveryTarget(
      "NaN",
      [&](Call& call) {
        cpu::Dropout(ChosenTarget(), 64, 0.5f, 0, {}, call.In(x), call.Out(64), call.threads());
      },
      [&](const Outputs& got) {
        for (size_t i = 0; i < kept.size(); ++i) {
          EXPECT_EQ(std::isnan(got[0][i]), kept[i] != 0.0);
        }
      });
}

}  // namespace
}  // namespace ninc::test
