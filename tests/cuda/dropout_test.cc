#include <bit>
#include <cmath>
#include <cstdint>

#include "cpu/elementwise/dropout.h"
#include "device_call.h"

namespace ninc::test {
namespace {

struct Draw {
  DropoutKey key;
  uint32_t layer;
};
const Draw kDraws[] = {
    {{0, 0}, 0}, {{1234567890123456789, 17}, 3}, {{~uint64_t{0}, ~uint64_t{0}}, ~uint32_t{0}}};

std::vector<float> OnCpu(const Draw& draw, float p, const std::vector<float>& x) {
  std::vector<float> y(x.size());
  cpu::Dropout(ChosenTarget(), static_cast<int64_t>(x.size()), p, draw.layer, draw.key, x.data(),
               y.data(), 1);
  return y;
}

// Of NaN it is only asked that it is one: a device has one of its own.
void ExpectSame(const std::vector<float>& got, const std::vector<float>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const bool same = std::isnan(want[i])
                          ? std::isnan(got[i])
                          : std::bit_cast<uint32_t>(got[i]) == std::bit_cast<uint32_t>(want[i]);
    ASSERT_TRUE(same) << got[i] << " and not " << want[i] << " at " << i;
  }
}

void ExpectTheCpusBits(const Draw& draw, float p, const std::vector<float>& x) {
  const auto count = static_cast<int64_t>(x.size());
  const std::vector<float> want = OnCpu(draw, p, x);
  OnDevice(
      std::to_string(count) + " values, p " + std::to_string(p),
      [&](DeviceCall& call) {
        const DropoutKey* key = call.Values<DropoutKey>({draw.key});
        ExpectOk(
            cuda::Dropout(DeviceStream(), count, p, draw.layer, key, call.In(x), call.Out(count)));
        float* in_place = call.InOut(x);
        ExpectOk(cuda::Dropout(DeviceStream(), count, p, draw.layer, key, in_place, in_place));
      },
      [&](const Outputs& got) {
        ExpectSame(got[0], want);
        ExpectSame(got[1], want);
      });
}

TEST(CudaDropoutTest, MasksAreTheCpus) {
  for (int64_t count : {0, 1, 3, 4, 5, 63, 64, 65, 1000, 16384, 40001}) {
    for (const Draw& draw : kDraws) {
      for (float p : {0.0f, 0.1f, 0.5f, 0.9f, 1.0f}) ExpectTheCpusBits(draw, p, Random(count, 1));
    }
  }
}

// More values than the threads of the largest grid take in one turn.
TEST(CudaDropoutTest, ThreadsGoOn) { ExpectTheCpusBits(kDraws[1], 0.5f, Random(2200001, 2)); }

TEST(CudaDropoutTest, NanIsKeptOrDropped) {
  ExpectTheCpusBits({}, 0.5f, std::vector<float>(64, std::numeric_limits<float>::quiet_NaN()));
}

}  // namespace
}  // namespace ninc::test
