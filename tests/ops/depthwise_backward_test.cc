// Both gradients of a depthwise convolution between two batch norms, in one step.
#include "support/between_norms.h"
#include "support/cases.h"
#include "support/step_check.h"

namespace ninc::test {
namespace {

// Pictures in one band of rows and in several, the last one lower; more pictures than there are
// chunks; strides whose last rows of dy lie beyond those of x, or that leave out rows of x; holes
// between the taps; few channels.
std::vector<Conv2dProblem> Problems() {
  std::vector<ConvCase> cases = {
      {.n = 3, .c = 20, .h = 53, .w = 41, .r = 3, .s = 3, .padding = Same(1)},
      {.n = 2,
       .c = 33,
       .h = 54,
       .w = 40,
       .r = 3,
       .s = 3,
       .stride_h = 2,
       .stride_w = 2,
       .padding = Same(1)},
      {.n = 2,
       .c = 20,
       .h = 47,
       .w = 43,
       .r = 5,
       .s = 5,
       .stride_h = 2,
       .stride_w = 2,
       .padding = {2, 2, 3, 1}},
      {.n = 2, .c = 17, .h = 80, .w = 30, .r = 5, .s = 3, .padding = {6, 0, 7, 2}},
      {.n = 2,
       .c = 20,
       .h = 61,
       .w = 40,
       .r = 3,
       .s = 3,
       .padding = Same(2),
       .dilation_h = 2,
       .dilation_w = 2},
      {.n = 1, .c = 16, .h = 66, .w = 50, .r = 2, .s = 1, .stride_h = 3, .stride_w = 3},
      {.n = 70, .c = 5, .h = 4, .w = 3, .r = 3, .s = 3, .padding = Same(1)}};
  std::vector<Conv2dProblem> problems;
  for (ConvCase& c : cases) {
    c.k = c.groups = c.c;
    problems.push_back(c.problem());
  }
  return problems;
}

// Outputs: dweight of the convolution, then of the earlier batch norm, its dbias, dx.
void RunStep(StepCall& call, const BetweenNorms& between, Activation before, Activation after) {
  const BatchNormBackwardCase& behind = between.behind;
  const BatchNormLayer& ahead = between.ahead;
  const std::vector<float> mean = ToFloat(between.forward.mean),
                           inv_std = ToFloat(between.forward.inv_std);
  const step::DepthwiseBackward step{.problem = between.p,
                                     .after = {{0, 1, 2, after}, 3, 4, 5, 6},
                                     .before = {{7, 8, 9, before}, 10, 11, 12, 13},
                                     .packed = 14,
                                     .dweight = 15,
                                     .dy = 16,
                                     .dx = 17};
  const StepArray dweight = call.Out(between.p.weight_size());
  const StepArray ahead_dweight = call.Out(between.in.channels),
                  ahead_dbias = call.Out(between.in.channels);
  const StepArray dx = call.Out(between.in.size());
  call.Run(step,
           {call.In(behind.mean), call.In(BetweenNorms::Scale(behind.layer.weight, behind.inv_std)),
            call.In(behind.layer.bias), call.In(behind.layer.x), call.In(behind.inv_std),
            call.In(ToFloat(behind.want.dweight)), call.In(ToFloat(behind.want.dbias)),
            call.In(mean), call.In(BetweenNorms::Scale(ahead.weight, inv_std)), call.In(ahead.bias),
            call.In(ahead.x), call.In(inv_std), ahead_dweight, ahead_dbias, call.In(between.weight),
            dweight, call.In(behind.dy), dx});
}

TEST(DepthwiseBackwardTest, MatchesTheReferences) {
  if (OnGpu()) GTEST_SKIP() << "it computes gradients one by one";
  for (const Conv2dProblem& p : Problems()) {
    for (const Activation before : {kRelu6, kNone}) {
      const Activation after = before == kNone ? kRelu : kNone;
      const BetweenNorms between(p, before, after);
      const auto pixels = static_cast<double>(between.in.rows);
      const auto out_pixels = static_cast<double>(p.output().pixels());
      OnEveryBackend(
          p.ToString(), [&](StepCall& call) { RunStep(call, between, before, after); },
          [&](const Outputs& got) {
            ExpectClose(got[0], reference::Conv2dBackwardWeights(p, between.x, between.dz),
                        reference::Conv2dBackwardWeights(p, Absolute(between.x), between.dz_size),
                        out_pixels);
            ExpectClose(got[1], between.dweight, between.dweight_size, pixels);
            ExpectClose(got[2], between.dbias, between.dbias_size, pixels);
            ExpectClose(got[3], between.dx, between.dx_size, out_pixels);
          });
    }
  }
}

// A backend that has no kernel for the step says so, and the layer stays unfused.
TEST(DepthwiseBackwardTest, IsCompiledForDepthwiseLayersAlone) {
  for (const TestedBackend& tested : Backends()) {
    SCOPED_TRACE(tested.name);
    const auto compiled = [&](const ConvCase& c) {
      const Result<std::optional<Kernel>> kernel =
          tested.backend->Compile(step::DepthwiseBackward{.problem = c.problem()}, {});
      ExpectOk(kernel.status());
      return kernel.value().has_value();
    };
    ConvCase c{.n = 2, .c = 8, .h = 9, .w = 7, .k = 8, .r = 3, .s = 3, .groups = 8};
    EXPECT_EQ(compiled(c), !OnGpu());
    c.groups = 4;
    EXPECT_FALSE(compiled(c));
    c.groups = 8, c.n = 0;
    EXPECT_FALSE(compiled(c));
  }
}

}  // namespace
}  // namespace ninc::test
