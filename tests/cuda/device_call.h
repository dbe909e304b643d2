// How operations of the CUDA backend are tested: on arrays with and without the alignment that
// reading four floats at once needs, compared with the float64 references, or bit by bit with the
// CPU. Each array is an allocation of its own, and what is to be written has never been written, so
// that the emulated driver finds any access beyond and any value read or given back too early.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "cuda/common/operations.h"
#include "cuda/cuda_backend.h"
#include "ninc/backend.h"

namespace ninc::test {

// The device's only backend; ends the process where there is none, since no test can go on.
inline Backend& Device() {
  static const Result<std::shared_ptr<Backend>> backend = OpenDevice("cuda");
  if (!backend.ok()) {
    std::fprintf(stderr, "%s\n", backend.status().message().c_str());
    std::exit(1);
  }
  return *backend.value();
}

inline cuda::Stream& StreamOf(Backend& backend) {
  return static_cast<cuda::CudaBackend&>(backend).stream();
}
inline cuda::Stream& DeviceStream() { return StreamOf(Device()); }

inline void ExpectOk(const Status& status) { EXPECT_TRUE(status.ok()) << status.message(); }

// One call of an operation, as Call is for the CPU's kernels.
class DeviceCall {
 public:
  explicit DeviceCall(int64_t offset) : offset_(offset) {}

  const float* In(const std::vector<float>& values) { return Lend(values, false); }
  float* InOut(const std::vector<float>& values) { return Lend(values, true); }
  float* Out(int64_t count) {
    return Make(std::vector<float>(static_cast<size_t>(count)), true, false).data();
  }
  Workspace Scratch(const WorkspaceSize& size) { return Workspace(Memory(size.Total(1)), size, 1); }

  // Other values than floats, aligned as allocated.
  template <typename T>
  T* Values(const std::vector<T>& values) {
    auto* to = reinterpret_cast<T*>(Memory(values.size() * sizeof(T)));
    ExpectOk(Device().Write(to, values.data(), values.size() * sizeof(T)));
    return to;
  }
  template <typename T>
  T* Room(size_t count = 1) {
    return reinterpret_cast<T*>(Memory(count * sizeof(T)));
  }
  template <typename T>
  T Read(const T* from) {
    T value{};
    ExpectOk(Device().Read(&value, from, sizeof(T)));
    return value;
  }

  // The InOut and Out arrays in the order they were asked for, after looking at the others.
  std::vector<std::vector<float>> Finish() {
    std::vector<std::vector<float>> outputs;
    for (const Array& array : arrays_) {
      std::vector<float> now(array.values.size());
      ExpectOk(Device().Read(now.data(), array.data(), now.size() * sizeof(float)));
      if (array.output) {
        outputs.push_back(std::move(now));
      } else {
        EXPECT_TRUE(SameBits(now, array.values)) << "an input was written to";
      }
    }
    return outputs;
  }

 private:
  struct Array {
    float* data() const { return reinterpret_cast<float*>(memory) + offset; }
    std::byte* memory;
    int64_t offset;
    std::vector<float> values;
    bool output;
  };

  std::byte* Memory(size_t bytes) {
    Result<DeviceMemory> memory = Device().Allocate("test", bytes);
    ExpectOk(memory.status());
    memory_.push_back(std::move(memory).value());
    return memory_.back().data();
  }
  Array& Make(const std::vector<float>& values, bool output, bool write) {
    std::byte* memory = Memory((values.size() + static_cast<size_t>(offset_)) * sizeof(float));
    arrays_.push_back({memory, offset_, values, output});
    if (write) {
      float* to = arrays_.back().data();
      ExpectOk(Device().Write(to, values.data(), values.size() * sizeof(float)));
    }
    return arrays_.back();
  }
  float* Lend(const std::vector<float>& values, bool output) {
    return Make(values, output, true).data();
  }

  int64_t offset_;
  std::deque<DeviceMemory> memory_;
  std::deque<Array> arrays_;
};

using Outputs = std::vector<std::vector<float>>;

// Runs an operation on aligned arrays and on others; check looks at the values of both.
inline void OnDevice(const std::string& name, const std::function<void(DeviceCall&)>& run,
                     const std::function<void(const Outputs&)>& check) {
  for (const int64_t offset : {0, 1}) {
    SCOPED_TRACE(name + (offset == 0 ? "" : ", arrays off their alignment"));
    DeviceCall call(offset);
    run(call);
    check(call.Finish());
    // A device that is lost stays so: every test from here on would fail for its sake.
    if (!Device().Synchronize().ok()) std::exit(1);
  }
}

}  // namespace ninc::test
