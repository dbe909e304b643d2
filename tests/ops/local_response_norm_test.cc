// Local response normalization, forward and backward.
#include "reference/norm/local_response_norm.h"

#include <string>

#include "ops/ops.h"
#include "support/step_check.h"

namespace ninc::test {
namespace {

TEST(LocalResponseNormTest, ForwardAndBackward) {
  const std::vector<op::LocalResponseNorm> settings{
      {},
      {.size = 3, .alpha = 2.0f, .beta = 0.75f, .k = 1.0f},
      {.size = 1, .alpha = 1.0f, .beta = 0.5f, .k = 2.0f},
      {.size = 9, .alpha = 0.5f, .beta = 1.5f, .k = 0.5f}};
  for (const MatrixCase& m : {MatrixCase{0, 5}, MatrixCase{7, 3}, MatrixCase{40, 17}}) {
    const std::vector<float> x = Random(m.size(), 1, -2.0f, 2.0f), dy = Random(m.size(), 2);
    for (const op::LocalResponseNorm& op : settings) {
      const reference::LocalResponseNormSettings same{op.size, op.alpha, op.beta, op.k};
      const std::vector<double> y = reference::LocalResponseNorm(same, m.channels, x);
      const std::vector<double> dx = reference::LocalResponseNormBackward(same, m.channels, dy, x);
      OnEveryBackend(
          m.ToString() + ", size " + std::to_string(op.size),
          [&](StepCall& call) {
            call.Run(step::LocalResponseNorm{op, 0, 1},
                     {call.In(m.shape(), x), call.Out(m.shape())});
            call.Run(step::LocalResponseNormBackward{op, 0, 1, 2},
                     {call.In(m.shape(), dy), call.In(m.shape(), x), call.Out(m.shape())});
          },
          [&](const Outputs& got) {
            // A power of a number near 1, and 2·beta·alpha of the terms of a sum.
            ExpectClose(got[0], y, Magnitudes(y), 16);
            ExpectClose(got[1], dx, std::vector<double>(dx.size(), 8.0), 16);
          });
    }
  }
}

}  // namespace
}  // namespace ninc::test
