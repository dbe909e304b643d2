// What makes convolutions fast on a device, counted: few operations beyond the products themselves,
// little memory read twice, no bank conflicts. `make cuda-report` prints the same for batch 32.
#include "network_layers.h"
#include "support/chain_cases.h"

namespace ninc::cuda {
namespace {

void ExpectLittleBeyond(const Least& least, Counts counts, ConvMethod precision,
                        double most_operations) {
  // Each product of float32 values is three of TF32 values.
  const double operations = counts["fma_operations"] +
                            counts["mma_operations"] / (precision == ConvMethod::kAuto ? 3 : 1);
  EXPECT_EQ(operations, least.tiled);
  EXPECT_LE(operations, most_operations * least.multiply_adds);
  EXPECT_LT(counts["global_load_sectors"] + counts["global_store_sectors"], 1.5 * least.sectors);
  EXPECT_LT(counts["bank_conflicts"], 0.05 * counts["shared_accesses"]);
}

TEST(CudaConv2dCountsTest, LittleIsDoneBeyondTheProducts) {
  for (ConvMethod precision : kPrecisions) {
    for (const auto& [name, problem] : NinCifarConvolutions(2, precision)) {
      const bool first = problem.input.c == 3;
      for (Pass pass : {Pass::kForward, Pass::kBackwardData, Pass::kBackwardWeights}) {
        if (first && pass == Pass::kBackwardData) continue;
        SCOPED_TRACE(std::string(name) + ", " + NameOf(pass) + " in " + NameOf(precision));
        // Results come 32 by 32: of pictures of 3 channels 75 rows take 96.
        const double most = first && pass == Pass::kBackwardWeights ? 1.28 : 1.15;
        ExpectLittleBeyond(LeastOf(problem, pass), CountPass(problem, pass), precision, most);
      }
    }
  }
}

TEST(CudaConv2dCountsTest, ChainsDoLittleMore) {
  const CountedNetwork network = NetworkNamed("nin-cifar10", 2, ConvMethod::kAuto);
  for (const NamedChain& named : network.chains) {
    SCOPED_TRACE(named.name);
    const MlpConvProblem chain = ChainOf(network, named);
    const Least least = LeastOfChain(chain, /*kept=*/true);
    Counts counts = ReadCounts(ReportOfChain(chain, /*kept=*/true));
    EXPECT_EQ(counts["blocks"], least.blocks);
    ExpectLittleBeyond(least, counts, ConvMethod::kAuto, 1.15);
  }
}

// One launch for a chain of a network but its pool, no memory for the maps between its layers, and
// hardly a bank conflict in shared memory, where they are.
TEST(CudaConv2dCountsTest, ChainsOfNetworksAreOneKernel) {
  for (const test::ChainCase& c : test::SmallChains()) {
    const MlpConvProblem p = test::ProblemOf(c);
    if (c.widths.empty() || c.first.out_channels > 192 || c.first.input.n == 0) continue;
    SCOPED_TRACE(c.name);
    Counts counts = ReadCounts(ReportOfChain(p, /*kept=*/false));
    EXPECT_EQ(counts["launches"], c.tail == test::Tail::kNone ? 1 : 2);
    if (c.name == "wide") {  // as networks are; tiny chains mostly write maps
      EXPECT_LT(counts["bank_conflicts"], 0.05 * counts["shared_accesses"]);
    }
    const size_t map = p.layers.back().output().size() * sizeof(float);
    const step::MlpConv step{p, 0, std::vector<step::MlpConv::Layer>(p.layers.size()), 1};
    EXPECT_EQ(ScratchBytes(step), c.tail == test::Tail::kNone ? 0 : WorkspaceSize::Aligned(map));
  }
}

TEST(CudaConv2dCountsTest, AChainSaysWhichKernelComputesItsLayers) {
  MlpConvProblem p;
  p.layers = {Convolution(1, ConvMethod::kAuto, 8, 160, 192, 3),
              Convolution(1, ConvMethod::kAuto, 8, 192, 10, 1)};
  p.activations.resize(2);
  const step::MlpConv step{p, 0, std::vector<step::MlpConv::Layer>(2), 1};
  const Compiled chain = Compile(step, {});
  for (const ConvolutionChoice& choice : chain.value()->convolutions) {
    EXPECT_EQ(choice.algorithm, "chain 32×192, split tf32");
  }
  p.layers[1].method = ConvMethod::kDirect;  // layers of two precisions run one by one
  const step::MlpConv apart{p, 0, std::vector<step::MlpConv::Layer>(2), 1};
  const Compiled layers = Compile(apart, {});
  const std::vector<ConvolutionChoice>& choices = layers.value()->convolutions;
  ASSERT_EQ(choices.size(), 2u);
  EXPECT_EQ(choices[0].algorithm, "implicit gemm 64×96, split tf32");
  EXPECT_EQ(choices[1].algorithm, "implicit gemm 64×16, float32");
}

TEST(CudaConv2dCountsTest, TheAlgorithmSaysItsTileAndPrecision) {
  Conv2dProblem p;
  p.input = {1, 8, 8, 192};
  p.out_channels = 160;
  EXPECT_EQ(Conv2dPass(p, Pass::kForward).Name(), "implicit gemm 64×96, split tf32");
  p.out_channels = 10;
  EXPECT_EQ(Conv2dPass(p, Pass::kForward).Name(), "implicit gemm 64×16, float32");
  p.method = ConvMethod::kDirect;
  EXPECT_EQ(Conv2dPass(p, Pass::kBackwardData).Name(), "direct 1×1, float32");
}

}  // namespace
}  // namespace ninc::cuda
