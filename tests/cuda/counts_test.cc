// What makes the operations beside convolution fast on a device, counted: they are bound by memory,
// so every value is to be read and written once by each pass over it, in whole sectors, without
// bank conflicts. An H100 issues about 9 warp instructions in the time a sector of 32 bytes takes.
#include "counts.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <vector>

#include "device_call.h"

namespace ninc::test {
namespace {

constexpr int64_t kBatch = 2;

// One operation on the shapes of NIN-CIFAR.
struct Case {
  const char* name;
  double floats;  // to be read and written, by each pass over the arrays
  // Sectors asked for, and warp instructions, for each sector of those: at most. Pools ask again
  // for what neighbouring windows share, which the first-level cache answers; a picture of three
  // channels and the last map of ten leave parts of sectors and blocks unused.
  double sectors, instructions;
  std::function<void(DeviceCall&)> run;
};

const Shape kMap{kBatch, 32, 32, 96};  // before the first pool
const Shape kSmall{kBatch, 8, 8, 10};  // before the global average
const Shape kPicture{kBatch, 32, 32, 3};

Pool2dProblem Pool() {
  Pool2dProblem p;
  p.input = kMap;
  p.kernel_h = p.kernel_w = 3;
  p.stride_h = p.stride_w = 2;
  p.ceil_mode = true;
  return p;
}

std::vector<float> Values(const Shape& shape) { return Random(shape.size(), 1); }

std::vector<Case> Cases() {
  const auto map = static_cast<double>(kMap.size());
  const int64_t rows = kMap.pixels(), channels = kMap.c;
  const auto pooled = static_cast<double>(Pool().output().size());
  const auto picture = static_cast<double>(kPicture.size());
  return {
      {"from nchw", 2 * picture, 1.05, 9,
       [](DeviceCall& call) {
         ExpectOk(cuda::FromNchw(DeviceStream(), kPicture,
                                 {call.In(Values(kPicture)), {3072, 1024, 32, 1}},
                                 call.Out(kPicture.size())));
       }},
      {"to nchw", 2 * map, 1.05, 7,
       [](DeviceCall& call) {
         ExpectOk(cuda::ToNchw(DeviceStream(), kMap, call.In(Values(kMap)), call.Out(kMap.size())));
       }},
      {"from uint8", 1.25 * picture, 1.5, 5.5,
       [](DeviceCall& call) {
         const std::vector<uint8_t> x(kPicture.size(), 7);
         ExpectOk(cuda::FromUint8(DeviceStream(), kPicture, call.Values(x), call.In({1, 2, 3}),
                                  call.In({1, 2, 3}), call.Out(kPicture.size())));
       }},
      {"activation backward, bias", 3 * map, 1.1, 1.5,
       [rows, channels](DeviceCall& call) {
         ExpectOk(cuda::ActivationBackward(
             DeviceStream(), rows, channels, kRelu, call.In(Values(kMap)), call.In(Values(kMap)),
             call.Out(kMap.size()), call.Out(channels),
             call.Scratch(cuda::ActivationBackwardWorkspace(rows, channels))));
       }},
      {"max pool", map + pooled, 2.3, 4.8,
       [](DeviceCall& call) {
         ExpectOk(cuda::MaxPool2dForward(DeviceStream(), Pool(), call.In(Values(kMap)),
                                         call.Out(Pool().output().size())));
       }},
      {"max pool backward", 2 * map + pooled, 2.8, 9,
       [](DeviceCall& call) {
         ExpectOk(cuda::MaxPool2dBackward(DeviceStream(), Pool(), call.In(Values(Pool().output())),
                                          call.In(Values(kMap)), call.Out(kMap.size())));
       }},
      {"average pool", map + pooled, 2.1, 4,
       [](DeviceCall& call) {
         ExpectOk(cuda::AvgPool2dForward(DeviceStream(), Pool(), call.In(Values(kMap)),
                                         call.Out(Pool().output().size())));
       }},
      {"average pool backward", map + pooled, 2.6, 10,
       [](DeviceCall& call) {
         ExpectOk(cuda::AvgPool2dBackward(DeviceStream(), Pool(), call.In(Values(Pool().output())),
                                          call.Out(kMap.size())));
       }},
      {"global average", static_cast<double>(kSmall.size()), 1.3, 17,
       [](DeviceCall& call) {
         ExpectOk(cuda::GlobalAvgPool2dForward(DeviceStream(), kSmall, call.In(Values(kSmall)),
                                               call.Out(kSmall.n * kSmall.c)));
       }},
      {"dropout", 2 * map, 1.1, 7.5,
       [](DeviceCall& call) {
         const DropoutKey* key = call.Values<DropoutKey>({{1, 2}});
         ExpectOk(cuda::Dropout(DeviceStream(), kMap.size(), 0.5f, 0, key, call.In(Values(kMap)),
                                call.Out(kMap.size())));
       }},
      {"batch norm", 3 * map, 1.1, 3,
       [rows, channels](DeviceCall& call) {
         const std::vector<float> ones(channels, 1.0f);
         ExpectOk(cuda::BatchNormForward(DeviceStream(), rows, channels, call.In(Values(kMap)),
                                         call.In(ones), call.In(ones), 1e-5f, 0.1f, kRelu,
                                         call.InOut(ones), call.InOut(ones), call.Out(channels),
                                         call.Out(channels), call.Out(kMap.size()),
                                         call.Scratch(cuda::BatchNormWorkspace(rows, channels))));
       }},
      {"batch norm backward", 7 * map, 1.1, 1.4,
       [rows, channels](DeviceCall& call) {
         const std::vector<float> ones(channels, 1.0f);
         ExpectOk(cuda::BatchNormBackward(
             DeviceStream(), rows, channels, call.In(Values(kMap)), call.In(Values(kMap)),
             call.In(Values(kMap)), kRelu, call.In(ones), call.In(ones), call.In(ones),
             call.Out(kMap.size()), call.Out(channels), call.Out(channels),
             call.Scratch(cuda::BatchNormWorkspace(rows, channels))));
       }},
      {"sgd", 5 * map, 1.1, 1.3,
       [](DeviceCall& call) {
         StepState state;
         state.momentum = 0.9f;
         state.updated = 1;
         ExpectOk(cuda::SgdUpdate(DeviceStream(), kMap.size(), call.Values<StepState>({state}),
                                  call.Values<ParameterUpdate>({{0.1f, 0.1f}}),
                                  call.In(Values(kMap)), call.InOut(Values(kMap)),
                                  call.InOut(Values(kMap))));
       }},
      {"sum of squares", map, 1.1, 6.7,
       [](DeviceCall& call) {
         ExpectOk(cuda::SumOfSquares(DeviceStream(), kMap.size(), call.In(Values(kMap)),
                                     call.Room<double>(),
                                     call.Scratch(cuda::SumOfSquaresWorkspace(kMap.size()))));
       }},
  };
}

TEST(CudaCountsTest, MemoryIsReadOnceInWholeSectors) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    DeviceCall call(0);
    emulator::Control::Set("count", 1);
    emulator::Control::ResetCounters();
    c.run(call);
    ExpectOk(Device().Synchronize());
    cuda::Counts counts = cuda::ReadCounts(emulator::Control::Report());
    emulator::Control::Set("count", 0);
    const double sectors = counts["global_load_sectors"] + counts["global_store_sectors"];
    const double least = c.floats * sizeof(float) / 32;
    const double conflicts = counts["bank_conflicts"] / std::max(1.0, counts["shared_accesses"]);
    if (std::getenv("NINC_PRINT_COUNTS")) {
      std::printf("%-26s sectors %.3f conflicts %.3f instructions %.2f\n", c.name, sectors / least,
                  conflicts, counts["warp_instructions"] / least);
    }
    EXPECT_LT(sectors, c.sectors * least);
    EXPECT_LT(counts["warp_instructions"], c.instructions * least);
    EXPECT_LT(conflicts, 0.05);
  }
}

}  // namespace
}  // namespace ninc::test
