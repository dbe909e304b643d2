// What makes the operations beside convolution fast on a device, counted: they are bound by memory,
// so every value is to be read and written once by each pass over it, in whole sectors, without
// bank conflicts. An H100 issues about 9 warp instructions in the time a sector of 32 bytes takes.
#include "counts.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "support/step_check.h"

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
  Steps run;
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

StepArray In(StepCall& call, const Shape& shape) { return call.In(shape, Random(shape.size(), 1)); }
StepArray Ones(StepCall& call) { return call.In(std::vector<float>(kMap.c, 1.0f)); }

std::vector<Case> Cases() {
  const auto map = static_cast<double>(kMap.size());
  const auto pooled = static_cast<double>(Pool().output().size());
  const auto picture = static_cast<double>(kPicture.size());
  return {
      {"from nchw", 2 * picture, 1.05, 9,
       [](StepCall& call) {
         call.Run(step::FromNchw{0, 1}, {In(call, kPicture), call.Out(kPicture)});
       }},
      {"to nchw", 2 * map, 1.05, 7,
       [](StepCall& call) {
         call.Run(step::ToNchw{0, 1}, {In(call, kMap), call.Out(kMap)});
       }},
      {"from uint8", 1.25 * picture, 1.5, 5.5,
       [](StepCall& call) {
         const std::vector<uint8_t> x(kPicture.size(), 7);
         const float* const factors = call.Values<float>({1, 2, 3});
         call.Run(step::FromNchw{0, 1}, {{.shape = kPicture}, call.Out(kPicture)},
                  {.pictures = {call.Values(x), factors, factors}});
       }},
      {"activation backward, bias", 3 * map, 1.1, 1.5,
       [](StepCall& call) {
         call.Run(step::ActivationBackward{kRelu, 0, 1, 2, 3},
                  {In(call, kMap), In(call, kMap), call.Out(kMap), call.Out(kMap.c)});
       }},
      {"max pool", map + pooled, 2.3, 4.8,
       [](StepCall& call) {
         call.Run(step::MaxPool2d{Pool(), 0, 1}, {In(call, kMap), call.Out(Pool().output())});
       }},
      {"max pool backward", 2 * map + pooled, 2.8, 9,
       [](StepCall& call) {
         call.Run(step::MaxPool2dBackward{Pool(), 0, 1, 2},
                  {In(call, Pool().output()), In(call, kMap), call.Out(kMap)});
       }},
      {"average pool", map + pooled, 2.1, 4,
       [](StepCall& call) {
         call.Run(step::AvgPool2d{Pool(), 0, 1}, {In(call, kMap), call.Out(Pool().output())});
       }},
      {"average pool backward", map + pooled, 2.6, 10,
       [](StepCall& call) {
         call.Run(step::AvgPool2dBackward{Pool(), 0, 1},
                  {In(call, Pool().output()), call.Out(kMap)});
       }},
      {"global average", static_cast<double>(kSmall.size()), 1.3, 17,
       [](StepCall& call) {
         call.Run(step::GlobalAvgPool2d{0, 1},
                  {In(call, kSmall), call.Out({kSmall.n, 1, 1, kSmall.c})});
       }},
      {"dropout", 2 * map, 1.1, 7.5,
       [](StepCall& call) {
         call.Run(step::Dropout{0.5f, 0, 0, 1}, {In(call, kMap), call.Out(kMap)},
                  {.state = call.Values<StepState>({{.key = {1, 2}}})});
       }},
      {"batch norm", 3 * map, 1.1, 3,
       [](StepCall& call) {
         const StepArray ones = Ones(call);
         call.Run(step::BatchNorm{1e-5f, 0.1f, kRelu, 0, 1, 1, 1, 1, 2, 3, 4, 5, 6},
                  {In(call, kMap), ones, call.Out(kMap), call.Out(kMap.c), call.Out(kMap.c),
                   call.Out(kMap.c), call.Out(kMap.c)});
       }},
      {"batch norm backward", 7 * map, 1.1, 1.4,
       [](StepCall& call) {
         call.Run(step::BatchNormBackward{kRelu, 0, 1, 2, 3, 3, 3, 4, 5, 6},
                  {In(call, kMap), In(call, kMap), In(call, kMap), Ones(call), call.Out(kMap),
                   call.Out(kMap.c), call.Out(kMap.c)});
       }},
      {"sgd", 5 * map, 1.1, 1.3,
       [](StepCall& call) {
         StepState state;
         PutRule(rule::Sgd{0.9f}, &state);
         state.updated = 1;
         const std::vector<float> values = Random(kMap.size(), 1);
         call.Run(step::SgdUpdate{0, 0, 1, 2},
                  {In(call, kMap), call.InOut(values), call.InOut(values)},
                  {.state = call.Values<StepState>({state}),
                   .updates = call.Values<ParameterUpdate>({{0.1f, 0.1f}})});
       }},
      {"adam", 7 * map, 1.1, 2.8,
       [](StepCall& call) {
         StepState state;
         PutRule(rule::Adam(), &state);
         state.updated = 1;
         const std::vector<float> values = Random(kMap.size(), 1), positive(kMap.size(), 0.5f);
         call.Run(step::AdamUpdate{0, 0, 1, 2, 3, 4},
                  {In(call, kMap), call.InOut(values), call.InOut(positive), call.In({3.0f}),
                   call.InOut(values)},
                  {.state = call.Values<StepState>({state}),
                   .updates = call.Values<ParameterUpdate>({{0.1f, 0.1f}})});
       }},
      {"sum of squares", map, 1.1, 6.7,
       [](StepCall& call) {
         call.Run(step::SumOfSquares{0, 0}, {In(call, kMap)}, {.sums = call.Room<double>()});
       }},
  };
}

TEST(CudaCountsTest, MemoryIsReadOnceInWholeSectors) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    StepCall call(Gpu());
    emulator::Control::Set("count", 1);
    emulator::Control::ResetCounters();
    c.run(call);
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
