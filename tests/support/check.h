// How kernels are tested: run on every target, thread count and alignment, compare bits between
// them, and compare values with the float64 references within what rounding explains.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cpu/conv2d/choose/conv2d_choose.h"
#include "ninc/backend.h"
#include "ninc/problem.h"
#include "ninc/target.h"
#include "support/sanitized.h"

namespace ninc::test {

inline constexpr double kUnitRoundoff = 0x1p-24;  // of float32, rounding to nearest
inline constexpr Activation kNone = kNoActivation;
inline constexpr Activation kClip{-0.75f, 0.9f};
inline constexpr Activation kActivations[] = {kNone, kRelu, kRelu6, kClip};

// Reproducible values, uniform in [low, high).
inline std::vector<float> Random(int64_t count, uint32_t seed, float low = -1.0f,
                                 float high = 1.0f) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(count);
  for (float& value : values) value = uniform(generator);
  return values;
}

template <class T>
std::vector<double> Magnitudes(const std::vector<T>& values) {
  std::vector<double> result;
  for (T value : values) result.push_back(std::abs(static_cast<double>(value)));
  return result;
}

inline std::vector<float> Absolute(std::vector<float> values) {
  for (float& value : values) value = std::abs(value);
  return values;
}

template <class T>
std::vector<float> ToFloat(const std::vector<T>& values) {
  return std::vector<float>(values.begin(), values.end());
}

// Every got(i) is a float32 sum of `terms` terms whose absolute values add up to magnitude(i), in
// any order, then a few more operations. Rounding errors of a sum behave like a random walk, so
// with high probability they stay within a small multiple of
//     sqrt(terms) * u * sum |term|
// (Higham, Mary, "A new approach to probabilistic rounding error analysis", 2019); the certain
// bound, terms * u * sum |term|, would let a lost term pass. Each term may besides be a product
// that is off by product_error of itself.
inline void ExpectClose(const std::vector<float>& got, const std::vector<double>& want,
                        const std::vector<double>& magnitude, double terms,
                        double product_error = 0.0) {
  ASSERT_EQ(got.size(), want.size());
  ASSERT_EQ(got.size(), magnitude.size());
  size_t wrong = 0, worst = 0;
  double worst_ratio = 0.0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(want[i]) && std::isnan(got[i])) continue;
    if (want[i] == got[i]) continue;
    // Twice the smallest normal float: results below it may be flushed to zero.
    const double bound =
        (4.0 * (std::sqrt(terms) + 1.0) * kUnitRoundoff + product_error) * magnitude[i] + 0x1p-125;
    const double ratio = std::abs(got[i] - want[i]) / bound;
    if (ratio <= 1.0) continue;
    ++wrong;
    if (!(ratio <= worst_ratio)) {
      worst_ratio = ratio;
      worst = i;
    }
  }
  EXPECT_EQ(wrong, 0u) << "of " << got.size() << " values; worst at " << worst << ": got "
                       << got[worst] << ", want " << want[worst] << ", " << worst_ratio
                       << " times the bound";
}

// Of products that a target makes of two halves, see cpu/tile/split_tile.h.
inline double ProductError(Target target, const Conv2dProblem& problem, Pass pass) {
  return cpu::ProductShape(target, problem, pass).split ? 0x1p-15 : 0.0;
}

// Values that no rounding may touch: copies, maxima.
inline void ExpectExact(const std::vector<float>& got, const std::vector<double>& want) {
  ExpectClose(got, want, std::vector<double>(want.size(), 0.0), 0.0);
}

inline bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// One call of a kernel: lends it arrays between guards that it must not overwrite, off their
// natural alignment by `offset` floats, and scratch memory full of NaN.
class Call {
 public:
  Call(int threads, int64_t offset) : threads_(threads), offset_(offset) {}

  int threads() const { return threads_; }
  const float* In(const std::vector<float>& values) { return Lend(values, false); }
  float* InOut(const std::vector<float>& values) { return Lend(values, true); }
  // Full of NaN, so that a value that was not written, or was added to, is seen.
  float* Out(int64_t count) { return Lend(std::vector<float>(count, kPoison), true); }
  // 64-byte aligned memory full of NaN: for a workspace or packed weights.
  float* Aligned(size_t bytes) {
    const size_t size = (bytes + sizeof(float) - 1) / sizeof(float);
    std::vector<float>& memory = aligned_.emplace_back(size + kGuard + 16, kPoison);
    void* base = memory.data();
    size_t space = memory.size() * sizeof(float);
    float* start = static_cast<float*>(std::align(64, bytes, base, space));
    std::fill(start + size, memory.data() + memory.size(), kGuardValue);
    return start;
  }
  Workspace Scratch(const WorkspaceSize& size) {
    return Workspace(reinterpret_cast<std::byte*>(Aligned(size.Total(threads_))), size, threads_);
  }

  // The InOut and Out arrays in the order they were asked for, after looking at all guards.
  std::vector<std::vector<float>> Finish() {
    std::vector<std::vector<float>> outputs;
    for (const std::unique_ptr<Array>& array : arrays_) {
      const float* data = array->data.data() + kGuard + offset_;
      const size_t count = array->original.size();
      for (int64_t i = 1; i <= kGuard; ++i) {
        EXPECT_EQ(data[-i], kGuardValue) << "written before the start of an array";
        EXPECT_EQ(data[count + i - 1], kGuardValue) << "written past the end of an array";
      }
      const std::vector<float> now(data, data + count);
      if (array->output) {
        outputs.push_back(now);
      } else {
        EXPECT_TRUE(SameBits(now, array->original)) << "an input was written to";
      }
    }
    for (const std::vector<float>& memory : aligned_) {
      for (size_t i = memory.size() - kGuard; i < memory.size(); ++i) {
        EXPECT_EQ(memory[i], kGuardValue) << "written past the end of aligned memory";
      }
    }
    return outputs;
  }

 private:
  static constexpr int64_t kGuard = 32;
  static constexpr float kGuardValue = 12345.678f;
  static constexpr float kPoison = std::numeric_limits<float>::quiet_NaN();
  struct Array {
    std::vector<float> data, original;
    bool output;
  };

  float* Lend(const std::vector<float>& values, bool output) {
    auto array = std::make_unique<Array>();
    array->data.assign(values.size() + 2 * kGuard + offset_, kGuardValue);
    std::copy(values.begin(), values.end(), array->data.begin() + kGuard + offset_);
    array->original = values;
    array->output = output;
    arrays_.push_back(std::move(array));
    return arrays_.back()->data.data() + kGuard + offset_;
  }

  int threads_;
  int64_t offset_;
  std::vector<std::unique_ptr<Array>> arrays_;
  std::deque<std::vector<float>> aligned_;
};

using Outputs = std::vector<std::vector<float>>;

// On an emulated processor, many times slower, one run of its own target is enough: whether an
// instruction is used that it lacks. All else is known from this processor.
inline bool Emulated() { return std::getenv("NINC_TEST_EMULATED") != nullptr; }

inline std::vector<Target> TargetsToTest() {
  std::vector<Target> targets = SupportedTargets();
  if (Emulated()) targets.resize(1);
  // One lane would take most of the time, and is the same code with no last vector.
  if (Sanitized() && targets.size() > 1 && targets.back() == Target::kScalar) targets.pop_back();
  return targets;
}

// Runs a kernel on every target with 1, 2 and 5 threads, on arrays of two alignments. On one target
// all runs must give the same bits; check looks at the values once a target.
inline void OnEveryTarget(const std::string& name, const std::function<void(Call&)>& run,
                          const std::function<void(const Outputs&)>& check,
                          const std::vector<Target>& targets = TargetsToTest()) {
  const Target before = ChosenTarget();
  for (Target target : targets) {
    SCOPED_TRACE(name + " on " + std::string(TargetName(target)));
    ASSERT_TRUE(SetTarget(TargetName(target)).ok());
    Outputs first;
    for (const auto& [threads, offset] : {std::pair{1, 0}, {1, 1}, {2, 0}, {5, 1}}) {
      Call call(threads, offset);
      run(call);
      const Outputs outputs = call.Finish();
      if (first.empty()) {
        first = outputs;
        check(first);
        if (Emulated()) break;
        continue;
      }
      for (size_t i = 0; i < first.size(); ++i) {
        EXPECT_TRUE(SameBits(outputs[i], first[i]))
            << "output " << i << " differs with " << threads << " threads, offset " << offset;
      }
    }
    if (::testing::Test::HasFailure()) break;  // one target's report is enough to read
  }
  ASSERT_TRUE(SetTarget(TargetName(before)).ok());
}

}  // namespace ninc::test
