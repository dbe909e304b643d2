#include <cmath>

#include "cases.h"
#include "cpu/softmax/softmax.h"
#include "device_call.h"
#include "reference/softmax.h"

namespace ninc::test {
namespace {

// Logits reach to 10, so x - max carries an error of up to 20 u into the exponential.
constexpr float kReach = 10.0f;
constexpr double kExpError = 2.0 * kReach;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<double> Scaled(std::vector<double> values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

TEST(CudaSoftmaxTest, ForwardAndBackward) {
  for (const MatrixCase& m : MatrixCases()) {
    const std::vector<float> x = Random(m.size(), 1, -kReach, kReach);
    const std::vector<float> dy = Random(m.size(), 2);
    const std::vector<double> y = reference::SoftmaxForward(m.channels, x);
    const std::vector<double> dx = reference::SoftmaxBackward(m.channels, dy, ToFloat(y));
    OnDevice(
        m.ToString(),
        [&](DeviceCall& call) {
          ExpectOk(cuda::SoftmaxForward(DeviceStream(), m.rows, m.channels, call.In(x),
                                        call.Out(m.size())));
          float* in_place = call.InOut(x);
          ExpectOk(cuda::SoftmaxForward(DeviceStream(), m.rows, m.channels, in_place, in_place));
          ExpectOk(cuda::SoftmaxBackward(DeviceStream(), m.rows, m.channels, call.In(dy),
                                         call.In(ToFloat(y)), call.Out(m.size())));
        },
        [&](const Outputs& got) {
          ExpectClose(got[0], y, Scaled(y, kExpError), 1);
          ExpectClose(got[1], y, Scaled(y, kExpError), 1);
          ExpectClose(got[2], dx, Magnitudes(dx), 1);  // sums in double: rounded once
        });
  }
}

TEST(CudaSoftmaxTest, LargeLogitsDoNotOverflow) {
  OnDevice(
      "3e38",
      [&](DeviceCall& call) {
        ExpectOk(cuda::SoftmaxForward(DeviceStream(), 2, 2, call.In({3e38f, 3e38f, 3e38f, -3e38f}),
                                      call.Out(4)));
      },
      [](const Outputs& got) {
        ExpectExact(got[0], {0.5, 0.5, 1.0, 0.0});
      });
}

struct Batch {
  std::vector<float> logits;
  std::vector<int64_t> labels;
  float smoothing;
};

// Outputs: loss, dlogits, dlogits in place of the logits. Returns the number of right rows.
int64_t RunCrossEntropy(DeviceCall& call, const MatrixCase& m, const Batch& batch) {
  const int64_t* labels = call.Values(batch.labels);
  int64_t* correct = call.Room<int64_t>();
  int64_t* again = call.Room<int64_t>();
  float* loss = call.Out(1);
  const auto run = [&](const float* logits, float* dlogits, int64_t* right) {
    ExpectOk(cuda::SoftmaxCrossEntropy(DeviceStream(), m.rows, m.channels, logits, labels,
                                       batch.smoothing, loss, right, dlogits,
                                       call.Scratch(cuda::SoftmaxCrossEntropyWorkspace(m.rows))));
  };
  run(call.In(batch.logits), nullptr, correct);  // an evaluation wants no gradient
  run(call.In(batch.logits), call.Out(m.size()), correct);
  float* in_place = call.InOut(batch.logits);
  run(in_place, in_place, again);
  EXPECT_EQ(call.Read(correct), call.Read(again));
  return call.Read(correct);
}

TEST(CudaSoftmaxCrossEntropyTest, LossGradientAndRightRows) {
  for (const MatrixCase& m : MatrixCases()) {
    if (m.rows == 0) continue;
    Batch batch{Random(m.size(), 3, -kReach, kReach), {}, 0.0f};
    for (int64_t r = 0; r < m.rows; ++r) batch.labels.push_back(r * 7 % m.channels);
    for (float smoothing : {0.0f, 0.1f}) {
      batch.smoothing = smoothing;
      const reference::CrossEntropyOutput want =
          reference::SoftmaxCrossEntropy(m.channels, batch.logits, batch.labels, smoothing);
      // A gradient is a difference of two numbers of at most 1/rows.
      std::vector<double> magnitude = want.dlogits;
      for (double& value : magnitude) {
        value = kExpError * (std::abs(value) + 0.1 / static_cast<double>(m.rows));
      }
      OnDevice(
          m.ToString(),
          [&](DeviceCall& call) { EXPECT_EQ(RunCrossEntropy(call, m, batch), want.correct); },
          [&](const Outputs& got) {
            ExpectClose(got[0], {want.loss}, {want.loss + 1.0}, 1);
            ExpectClose(got[1], want.dlogits, magnitude, 1);
            ExpectClose(got[2], want.dlogits, magnitude, 1);
          });
    }
  }
}

// What is not a number comes out as on the CPU, and so does which maximum is the first.
TEST(CudaSoftmaxCrossEntropyTest, TiesInfinitiesAndNanAsOnTheCpu) {
  const int64_t channels = 70;  // more than two of a lane's turns
  std::vector<std::vector<float>> rows(9, std::vector<float>(channels, 0.5f));
  rows[1][33] = rows[1][65] = 2.0f;
  rows[2][40] = kNan;
  rows[3][69] = rows[3][3] = kNan;
  rows[4][35] = kInfinity;
  rows[5][0] = -kInfinity;
  rows[6].assign(channels, -kInfinity);
  rows[7].assign(channels, kNan);
  rows[8][2] = rows[8][34] = kInfinity;
  for (const std::vector<float>& row : rows) {
    for (int64_t label : {0, 2, 3, 33, 34, 35, 40, 65, 69}) {
      const Batch batch{row, {label}, 0.0f};
      float loss = 0.0f;
      int64_t correct = -1;
      std::vector<float> dlogits(row.size());
      std::vector<double> scratch(8);
      const WorkspaceSize size = cpu::SoftmaxCrossEntropyWorkspace(1);
      cpu::SoftmaxCrossEntropy(1, channels, row.data(), &label, 0.0f, &loss, &correct,
                               dlogits.data(),
                               Workspace(reinterpret_cast<std::byte*>(scratch.data()), size, 1));
      const std::vector<double> want(dlogits.begin(), dlogits.end());
      DeviceCall call(0);
      EXPECT_EQ(RunCrossEntropy(call, {1, channels}, batch), correct);
      const Outputs got = call.Finish();
      ExpectClose(got[0], {loss}, {std::abs(loss) + 1.0}, 1);
      ExpectClose(got[1], want, std::vector<double>(channels, 1.0), 1);
    }
  }
}

TEST(CudaSoftmaxCrossEntropyTest, TheMeanOfNoRowsIsNan) {
  OnDevice(
      "0×5",
      [&](DeviceCall& call) {
        EXPECT_EQ(RunCrossEntropy(call, {0, 5}, Batch{{}, {}, 0.0f}), 0);
      },
      [](const Outputs& got) { EXPECT_TRUE(std::isnan(got[0][0])); });
}

}  // namespace
}  // namespace ninc::test
