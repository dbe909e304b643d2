// What Winograd's convolution costs in digits on the 3×3 and 5×5 layers of the five published
// networks: against float64, relative to the output's largest magnitude, beside direct convolution.
// Prints the table of docs/numerics.md; tiles that are found precise must stay within 2e-5.
#include "accuracy.h"
#include "cpu/conv2d/choose/conv2d_choose.h"

namespace ninc::test {
namespace {

// Batches are as small as leaves a weight gradient's sum several blocks of tiles. The last three
// are nobody's: one has as many blocks as a network's at batch 128, two sum over as many channels
// as a tile of F(2×2, 5×5) may.
constexpr Layer kLayers[] = {
    {"CIFAR conv1", 3, 3, 32, 192, 5},        {"SVHN conv1", 3, 3, 32, 128, 5},
    {"MNIST conv1", 4, 1, 28, 96, 5},         {"CIFAR conv2", 3, 96, 16, 192, 5},
    {"CIFAR conv3", 12, 192, 8, 192, 3},      {"SVHN conv2", 3, 64, 16, 320, 5},
    {"SVHN conv3", 6, 128, 8, 384, 5},        {"MNIST conv2", 6, 48, 14, 128, 5},
    {"MNIST conv3", 16, 48, 7, 128, 5},       {"ImageNet conv2", 1, 96, 27, 256, 5},
    {"ImageNet conv3", 3, 256, 13, 384, 3},   {"ImageNet conv4", 4, 384, 6, 1024, 3},
    {"of 64 blocks", 128, 8, 16, 16, 5},      {"from 1,024 channels", 2, 1024, 8, 64, 5},
    {"to 1,024 channels", 2, 64, 8, 1024, 5},
};

TEST(WinogradAccuracyTest, StaysWithinTwoInAHundredThousand) {
  std::printf("| layer | pass | direct | F(2×2) | F(4×4) | F(6×6) |\n|---|---|---|---|---|---|\n");
  for (const Layer& layer : kLayers) {
    Conv2dProblem p = layer.problem();
    const Data data(p);
    for (const auto& [pass, name] : {std::pair(Pass::kForward, "forward"),
                                     {Pass::kBackwardData, "backward data"},
                                     {Pass::kBackwardWeights, "backward weights"}}) {
      const std::vector<double> want = ReferenceOf(p, pass, data);
      p.method = ConvMethod::kDirect;
      std::printf("| %s | %s | %.1e |", layer.name, name, ErrorOf(p, pass, data, want));
      for (int outputs : {2, 4, 6}) {
        const int tile = outputs + static_cast<int>(layer.kernel) - 1;
        if (tile > 8) {
          std::printf(" |");
          continue;
        }
        p.method = tile == 4   ? ConvMethod::kWinograd4
                   : tile == 6 ? ConvMethod::kWinograd6
                               : ConvMethod::kWinograd8;
        const double error = ErrorOf(p, pass, data, want);
        std::printf(" %.1e |", error);
        const cpu::WinogradShape shape{tile, static_cast<int>(layer.kernel)};
        if (!cpu::WinogradIsPrecise(p, pass, shape)) continue;
        EXPECT_LE(error, kAllowed) << layer.name << ", " << name << ", tile " << tile;
      }
      std::printf("\n");
    }
  }
}

}  // namespace
}  // namespace ninc::test
