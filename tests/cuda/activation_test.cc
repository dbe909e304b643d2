#include "cases.h"
#include "device_call.h"
#include "reference/activation.h"
#include "values.h"

namespace ninc::test {
namespace {

TEST(CudaActivationTest, ForwardIsExact) {
  for (const MatrixCase& m : MatrixCases()) {
    const std::vector<float> x = AroundLimits(m.size(), 1);
    for (Activation activation : kActivations) {
      const std::vector<double> want = reference::ActivationForward(activation, x);
      OnDevice(
          m.ToString(),
          [&](DeviceCall& call) {
            ExpectOk(cuda::ActivationForward(DeviceStream(), m.size(), activation, call.In(x),
                                             call.Out(m.size())));
            float* in_place = call.InOut(x);
            ExpectOk(
                cuda::ActivationForward(DeviceStream(), m.size(), activation, in_place, in_place));
          },
          [&](const Outputs& got) {
            ExpectExact(got[0], want);
            ExpectExact(got[1], want);
          });
    }
  }
}

void ExpectBackward(const MatrixCase& m, Activation activation) {
  const std::vector<float> dy = Random(m.size(), 2), x = AroundLimits(m.size(), 3);
  const std::vector<float> y = ToFloat(reference::ActivationForward(activation, x));
  const std::vector<double> dx = reference::ActivationBackward(activation, dy, y);
  const std::vector<double> dbias = reference::ColumnSums(m.channels, dx);
  const std::vector<double> magnitude = reference::ColumnSums(m.channels, Magnitudes(dx));
  OnDevice(
      m.ToString(),
      [&](DeviceCall& call) {
        const auto size = cuda::ActivationBackwardWorkspace(m.rows, m.channels);
        const auto run = [&](const float* from, float* to, float* sums) {
          // Without an activation nothing but dy is to be read.
          const float* output = activation == kNone ? nullptr : call.In(y);
          ExpectOk(cuda::ActivationBackward(DeviceStream(), m.rows, m.channels, activation, from,
                                            output, to, sums, call.Scratch(size)));
        };
        float* to = call.Out(m.size());
        run(call.In(dy), to, call.Out(m.channels));
        float* in_place = call.InOut(dy);
        run(in_place, in_place, call.Out(m.channels));
        run(call.In(dy), nullptr, call.Out(m.channels));
        run(call.In(dy), call.Out(m.size()), nullptr);
      },
      [&](const Outputs& got) {
        for (int i : {0, 2, 5}) ExpectExact(got[i], dx);
        for (int i : {1, 3, 4}) {
          ExpectClose(got[i], dbias, magnitude, static_cast<double>(m.rows));
        }
      });
}

TEST(CudaActivationTest, BackwardMasksAndSumsColumns) {
  for (const MatrixCase& m : MatrixCases()) {
    for (Activation activation : kActivations) ExpectBackward(m, activation);
  }
  ExpectBackward(kManyRuns, kRelu);
}

TEST(CudaElementwiseTest, AddThenActivate) {
  for (const MatrixCase& m : MatrixCases()) {
    const std::vector<float> a = AroundLimits(m.size(), 4);
    const std::vector<float> b = Random(m.size(), 5, -5.0f, 5.0f);
    for (Activation activation : kActivations) {
      const std::vector<double> want = reference::Add(activation, a, b);
      OnDevice(
          m.ToString(),
          [&](DeviceCall& call) {
            ExpectOk(cuda::Add(DeviceStream(), m.size(), call.In(a), call.In(b), activation,
                               call.Out(m.size())));
            float* in_place = call.InOut(a);
            ExpectOk(
                cuda::Add(DeviceStream(), m.size(), in_place, call.In(b), activation, in_place));
          },
          [&](const Outputs& got) {
            ExpectClose(got[0], want, Magnitudes(want), 1);
            ExpectClose(got[1], want, Magnitudes(want), 1);
          });
    }
  }
}

// Beside three channels nothing is aligned; beside four everything may be.
TEST(CudaElementwiseTest, CopyChannelsConcatenatesAndTakesApart) {
  for (const MatrixCase& m : MatrixCases()) {
    for (int64_t right : {3, 4}) {
      const int64_t left = m.channels, all = left + right;
      const std::vector<float> a = Random(m.rows * left, 8), b = Random(m.rows * right, 9);
      std::vector<float> both;
      for (int64_t r = 0; r < m.rows; ++r) {
        both.insert(both.end(), a.begin() + r * left, a.begin() + (r + 1) * left);
        both.insert(both.end(), b.begin() + r * right, b.begin() + (r + 1) * right);
      }
      OnDevice(
          m.ToString() + " beside " + std::to_string(right),
          [&](DeviceCall& call) {
            float* y = call.Out(m.rows * all);
            ExpectOk(
                cuda::CopyChannels(DeviceStream(), m.rows, left, call.In(a), left, 0, y, all, 0));
            ExpectOk(cuda::CopyChannels(DeviceStream(), m.rows, right, call.In(b), right, 0, y, all,
                                        left));
            ExpectOk(cuda::CopyChannels(DeviceStream(), m.rows, right, y, all, left,
                                        call.Out(m.rows * right), right, 0));
          },
          [&](const Outputs& got) {
            EXPECT_TRUE(SameBits(got[0], both));
            EXPECT_TRUE(SameBits(got[1], b));
          });
    }
  }
}

}  // namespace
}  // namespace ninc::test
