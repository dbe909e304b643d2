// How operations are tested: a step is run on arrays in each backend's memory, on and off their
// alignment and by several numbers of threads, which must not change a bit, and its results are
// compared with the float64 reference within what rounding explains.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "run/step_run.h"
#include "support/backends.h"
#include "support/cases.h"
#include "support/check.h"

namespace ninc::test {

inline void ExpectOk(const Status& status) { EXPECT_TRUE(status.ok()) << status.message(); }

// The arrays of some steps, and their runs.
class StepCall {
 public:
  explicit StepCall(const TestedBackend& tested, const Setting& setting = {})
      : backend_(*tested.backend), threads_(setting.threads), offset_(setting.offset) {}

  Backend& backend() const { return backend_; }
  int threads() const { return threads_; }

  StepArray In(const Shape& shape, const std::vector<float>& values) {
    return Lend(shape, values, false);
  }
  StepArray InOut(const Shape& shape, const std::vector<float>& values) {
    return Lend(shape, values, true);
  }
  StepArray Out(const Shape& shape) {
    return Make(shape, std::vector<float>(static_cast<size_t>(shape.size())), true);
  }
  // Where the shape is nobody's business.
  StepArray In(const std::vector<float>& values) { return In(Flat(values.size()), values); }
  StepArray InOut(const std::vector<float>& values) { return InOut(Flat(values.size()), values); }
  StepArray Out(int64_t count) { return Out({1, 1, 1, count}); }

  // Other values than floats, aligned as allocated.
  template <typename T>
  T* Values(const std::vector<T>& values) {
    auto* const to = reinterpret_cast<T*>(Memory(values.size() * sizeof(T)));
    ExpectOk(backend_.Write(to, values.data(), values.size() * sizeof(T)));
    return to;
  }
  template <typename T>
  T* Room(size_t count = 1) {
    return reinterpret_cast<T*>(Memory(count * sizeof(T)));
  }
  template <typename T>
  T Read(const T* from) {
    T value{};
    ExpectOk(backend_.Read(&value, from, sizeof(T)));
    return value;
  }

  // Fields of the step name the arrays by their places here.
  void Run(const StepOp& step, const std::vector<StepArray>& arrays,
           const RunArguments& arguments = {}) {
    ExpectOk(RunStep(backend_, step, arrays, threads_, arguments));
  }

  // The InOut and Out arrays in the order they were asked for, after looking at the others.
  Outputs Finish() {
    Outputs outputs;
    for (const Array& array : arrays_) {
      std::vector<float> now(array.values.size());
      ExpectOk(backend_.Read(now.data(), array.data, now.size() * sizeof(float)));
      if (array.output) {
        outputs.push_back(std::move(now));
      } else {
        EXPECT_TRUE(SameBits(now, array.values)) << "an input was written to";
      }
      if (offset_ == 0 || !backend_.SharesMemory()) continue;
      EXPECT_TRUE(std::isnan(array.data[-1])) << "written before the start of an array";
    }
    memory_.clear();  // whose guards are looked at
    return outputs;
  }

 private:
  struct Array {
    float* data;
    std::vector<float> values;
    bool output;
  };

  static Shape Flat(size_t count) { return {1, 1, 1, static_cast<int64_t>(count)}; }

  std::byte* Memory(size_t bytes) {
    Result<DeviceMemory> memory = backend_.Allocate("test", bytes);
    ExpectOk(memory.status());
    memory_.push_back(std::move(memory).value());
    return memory_.back().data();
  }
  StepArray Make(const Shape& shape, const std::vector<float>& values, bool output) {
    auto* const memory = reinterpret_cast<float*>(
        Memory((values.size() + static_cast<size_t>(offset_)) * sizeof(float)));
    arrays_.push_back({memory + offset_, values, output});
    return {shape, memory + offset_};
  }
  StepArray Lend(const Shape& shape, const std::vector<float>& values, bool output) {
    const StepArray array = Make(shape, values, output);
    float* const to = arrays_.back().data;
    ExpectOk(backend_.Write(to, values.data(), values.size() * sizeof(float)));
    return array;
  }

  Backend& backend_;
  int threads_;
  int64_t offset_;
  std::deque<DeviceMemory> memory_;
  std::deque<Array> arrays_;
};

using Steps = std::function<void(StepCall&)>;

// Runs steps on every backend in every setting. On one backend all runs must give the same bits,
// and check looks at the values once; where they need not, it looks at those of each run.
inline void OnEveryBackend(const std::string& name, const Steps& run,
                           const std::function<void(const Outputs&)>& check,
                           const std::vector<TestedBackend>& backends = Backends()) {
  for (const TestedBackend& tested : backends) {
    SCOPED_TRACE(name + " on " + tested.name);
    Outputs first;
    for (const Setting& setting : tested.settings) {
      StepCall call(tested, setting);
      run(call);
      const Outputs outputs = call.Finish();
      // A device that is lost stays so: every test from here on would fail for its sake.
      if (!tested.backend->Synchronize().ok()) std::exit(1);
      if (first.empty() || !tested.same_bits) {
        first = outputs;
        check(outputs);
        continue;
      }
      for (size_t i = 0; i < first.size(); ++i) {
        EXPECT_TRUE(SameBits(outputs[i], first[i]))
            << "output " << i << " differs with " << setting.threads << " threads, offset "
            << setting.offset;
      }
    }
    if (testing::Test::HasFailure()) break;  // one backend's report is enough to read
  }
}

// Rows enough for every way a backend splits a sum over them; the emulated GPU takes its time.
inline MatrixCase ManyRows() { return OnGpu() ? kManyRuns : kManyBlocks; }

// What the processor gives, for what is to be the same on all backends.
inline Outputs OnProcessor(const Steps& run) {
  StepCall call(Processor(ChosenTarget()));
  run(call);
  return call.Finish();
}

// The same bits, but for those of NaN: a device has one of its own.
inline void ExpectSameValues(const std::vector<float>& got, const std::vector<float>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const bool same = std::isnan(want[i]) ? std::isnan(got[i])
                                          : std::memcmp(&got[i], &want[i], sizeof(float)) == 0;
    ASSERT_TRUE(same) << got[i] << " and not " << want[i] << " at " << i;
  }
}

}  // namespace ninc::test
