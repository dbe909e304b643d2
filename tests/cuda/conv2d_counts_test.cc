// What makes convolutions fast on a device, counted: few operations beyond the products themselves,
// little memory read twice, no bank conflicts.
#include "conv2d_layers.h"

namespace ninc::cuda {
namespace {

TEST(CudaConv2dCountsTest, LittleIsDoneBeyondTheProducts) {
  for (ConvMethod precision : kPrecisions) {
    for (const auto& [name, problem] : NinCifarConvolutions(2, precision)) {
      const bool first = problem.input.c == 3, last = problem.out_channels == 10;
      for (Pass pass : {Pass::kForward, Pass::kBackwardData, Pass::kBackwardWeights}) {
        if (first && pass == Pass::kBackwardData) continue;
        SCOPED_TRACE(std::string(name) + ", " + NameOf(pass) + " in " + NameOf(precision));
        Counts counts = CountPass(problem, pass);
        const Least least = LeastOf(problem, pass);
        // Each product of float32 values is three of TF32 values.
        const double operations =
            counts["fma_operations"] +
            counts["mma_operations"] / (precision == ConvMethod::kAuto ? 3 : 1);
        const double sectors = counts["global_load_sectors"] + counts["global_store_sectors"];
        const double conflicts = counts["bank_conflicts"] / counts["shared_accesses"];
        if (std::getenv("NINC_PRINT_COUNTS")) {
          printf(
              "%-12s %-16s %-8s operations %.3f sectors %.3f conflicts %.3f instructions/mma "
              "%.2f\n",
              name, NameOf(pass), NameOf(precision), operations / least.multiply_adds,
              sectors / least.sectors, conflicts,
              counts["warp_instructions"] * 1024 / std::max(1.0, counts["mma_operations"]));
        }
        EXPECT_LT(conflicts, 0.05);
        // Ten channels fill no tile, nor do three of a picture.
        if (!(last && pass != Pass::kForward) && !first) {
          EXPECT_LT(operations, 1.15 * least.multiply_adds);
        }
        if (!first && !last) {
          EXPECT_LT(sectors, 1.5 * least.sectors);
        }
      }
    }
  }
}

}  // namespace
}  // namespace ninc::cuda
