// What the tests of convolutions on the device share: arrays there, and how far a result may be
// from the float64 reference in each precision.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cuda/common/operations.h"
#include "cuda/runtime/context.h"
#include "cuda/runtime/stream.h"
#include "support/check.h"
#include "support/cuda_device.h"

namespace ninc::cuda {

inline constexpr ConvMethod kPrecisions[] = {ConvMethod::kAuto, ConvMethod::kDirect,
                                             ConvMethod::kReduced};

inline const char* NameOf(ConvMethod precision) {
  return precision == ConvMethod::kDirect    ? "strict"
         : precision == ConvMethod::kReduced ? "fast"
                                             : "float32";
}

// One call's arrays on the device, `offset` floats off their natural alignment.
class Arrays {
 public:
  explicit Arrays(int64_t offset = 0)
      : context_(*Value(Context::Get())), stream_(Value(context_.NewStream())), offset_(offset) {}

  Stream& stream() { return *stream_; }
  float* In(const std::vector<float>& values) {
    float* to = New(values.size(), offset_);
    EXPECT_TRUE(stream_->CopyIn(to, values.data(), values.size() * sizeof(float)).ok());
    return to;
  }
  // Bias, scale, mask: null for an empty one.
  float* InOrNull(const std::vector<float>& values) {
    return values.empty() ? nullptr : In(values);
  }
  float* Out(int64_t count) { return New(count, offset_); }  // not written yet
  float* Packed(size_t bytes) { return New(bytes / sizeof(float), 0); }
  Workspace Scratch(const WorkspaceSize& size) {
    return Workspace(reinterpret_cast<std::byte*>(New(size.Total(1) / sizeof(float), 0)), size, 1);
  }
  // Fails the test if a value was not written.
  std::vector<float> Read(const float* from, int64_t count) {
    std::vector<float> values(count);
    const Status status = stream_->CopyOut(values.data(), from, count * sizeof(float));
    EXPECT_TRUE(status.ok()) << status.message();
    return values;
  }

 private:
  float* New(size_t count, int64_t offset) {
    memory_.emplace_back(context_, count + offset + 1);
    return memory_.back().data() + offset;
  }

  Context& context_;
  std::unique_ptr<Stream> stream_;
  int64_t offset_;
  std::deque<DeviceFloats> memory_;
};

// Products of float32 values, summed. By precision:
//   strict   rounding of float32 sums, as test::ExpectClose has it
//   float32  the same, and 7 * 2^-22 of each product: what tensor cores ignore of both low parts
//            (below 3 * 2^-23 each), and low * low (below 2^-20), which is left out; and the
//            contract, 2e-5 of the largest magnitude
//   fast     1.28 * 2^-10 of each product, its factors' rounding to TF32 (RoundToTf32), and the
//            sum's cutting off, 2^-22 for each of terms / 8 additions
inline void ExpectPrecise(ConvMethod precision, const std::vector<float>& got,
                          const std::vector<double>& want, const std::vector<double>& magnitude,
                          double terms) {
  ASSERT_EQ(got.size(), want.size());
  double unit = 4.0 * (std::sqrt(terms) + 1.0) * test::kUnitRoundoff;
  if (precision == ConvMethod::kAuto) unit += 7 * 0x1p-22;
  if (precision == ConvMethod::kReduced) unit += 1.28 * 0x1p-10 + terms / 8 * 0x1p-22;
  double largest = 0.0, error = 0.0, worst_ratio = 0.0;
  size_t worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    largest = std::max(largest, std::abs(want[i]));
    error = std::max(error, std::abs(got[i] - want[i]));
    const double ratio = std::abs(got[i] - want[i]) / (unit * magnitude[i] + 0x1p-125);
    if (!(ratio <= worst_ratio)) worst_ratio = ratio, worst = i;
  }
  if (got.empty()) return;
  EXPECT_LE(worst_ratio, 1.0) << "worst at " << worst << " of " << got.size() << ": got "
                              << got[worst] << ", want " << want[worst];
  if (precision == ConvMethod::kAuto) {
    EXPECT_LE(error, 2e-5 * largest);
  }
}

}  // namespace ninc::cuda
