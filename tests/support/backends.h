// The backends under test: the processor with each instruction set that it has, or the GPU,
// emulated or not, where NINC_TEST_DEVICE=cuda asks for it. Each test is run once for either.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compile/kernel.h"
#include "ninc/backend.h"
#include "ninc/target.h"
#include "support/check.h"

namespace ninc::test {

// The processor, but for its memory: full of NaN, so that a value that was not written, or was
// added to, is seen, and between guards that nobody may overwrite. The emulated GPU looks at both
// itself.
class GuardedProcessor final : public Backend {
 public:
  explicit GuardedProcessor(Target target) : processor_(CpuBackend(target)) {}
  std::string_view name() const override { return processor_.name(); }

  Result<DeviceMemory> Allocate(const char*, size_t bytes) override {
    const size_t all = (kFront + bytes + kGuard + kAlignment - 1) / kAlignment * kAlignment;
    auto* const base = static_cast<std::byte*>(std::aligned_alloc(kAlignment, all));
    if (base == nullptr) return OutOfMemory("the test needs more memory");
    std::memset(base, GuardOf(base), all);
    std::memcpy(base, &bytes, sizeof(bytes));
    std::memset(base + kFront, kNanByte, bytes);
    return DeviceMemory(base + kFront, bytes, &Free);
  }
  Status Write(void* to, const void* from, size_t bytes) override {
    return processor_.Write(to, from, bytes);
  }
  Status Read(void* to, const void* from, size_t bytes) override {
    return processor_.Read(to, from, bytes);
  }
  Status Copy(void* to, const void* from, size_t bytes) override {
    return processor_.Copy(to, from, bytes);
  }
  Status Synchronize() override { return {}; }
  bool SharesMemory() const override { return true; }
  int Threads() const override { return processor_.Threads(); }
  Result<std::shared_ptr<Backend>> NewStream() override { return processor_.NewStream(); }
  void ForgetRecordings() override {}
  Result<std::optional<Kernel>> Compile(const StepOp& step,
                                        std::span<const Value> values) const override {
    return processor_.Compile(step, values);
  }

 private:
  static constexpr size_t kAlignment = 64, kGuard = 128;
  static constexpr size_t kFront = kAlignment + kGuard;  // how many bytes there are, then a guard
  static constexpr int kNanByte = 0xFF;

  // Another at every place, so that what is copied from beyond one array does not pass as
  // another's.
  static int GuardOf(const std::byte* base) {
    return static_cast<int>(reinterpret_cast<uintptr_t>(base) / kAlignment % 251);
  }
  static bool Intact(const std::byte* guard, int value) {
    return std::all_of(guard, guard + kGuard,
                       [&](std::byte b) { return b == static_cast<std::byte>(value); });
  }
  static void Free(std::byte* data, size_t) {
    std::byte* const base = data - kFront;
    size_t bytes;
    std::memcpy(&bytes, base, sizeof(bytes));
    const int guard = GuardOf(base);
    EXPECT_TRUE(Intact(base + kAlignment, guard)) << "written before " << bytes << " bytes";
    EXPECT_TRUE(Intact(data + bytes, guard)) << "written past the end of " << bytes << " bytes";
    std::free(base);
  }

  Status RunRecorded(const RecordingKey&, Status (*body)(void*), void* context) override {
    return body(context);
  }

  Backend& processor_;
};

// In which ways a backend runs a step in a test.
struct Setting {
  int threads = 1;
  int64_t offset = 0;  // floats that arrays are off their alignment
};

struct TestedBackend {
  std::string name;  // "avx2", "cuda"
  Backend* backend;
  std::optional<Target> target;  // the processor's instruction set; none: the GPU
  std::vector<Setting> settings;
  bool same_bits = true;  // in all settings
};

inline TestedBackend Processor(Target target) {
  static std::vector<std::unique_ptr<GuardedProcessor>> processors(kTargets);
  std::unique_ptr<GuardedProcessor>& processor = processors[static_cast<size_t>(target)];
  if (processor == nullptr) {
    processor = std::make_unique<GuardedProcessor>(target);
    // Choosing it makes the operating system give the process its registers.
    const Target before = ChosenTarget();
    for (Target choice : {target, before}) EXPECT_TRUE(SetTarget(TargetName(choice)).ok());
  }
  std::vector<Setting> settings = {{1, 0}, {1, 1}, {2, 0}, {5, 1}};
  if (Emulated()) settings.resize(1);
  return {std::string(TargetName(target)), processor.get(), target, std::move(settings)};
}

// Whether this run of the tests is the GPU's.
inline bool OnGpu() {
  const char* const device = std::getenv("NINC_TEST_DEVICE");
  return device != nullptr && std::string_view(device) == "cuda";
}

// Where arrays are aligned it reads four values at once, and adds them in another order. Ends the
// process where there is no GPU, since no test can go on.
inline TestedBackend Gpu() {
  static const Result<std::shared_ptr<Backend>> backend = OpenDevice("cuda");
  if (!backend.ok()) {
    std::fprintf(stderr, "%s\n", backend.status().message().c_str());
    std::exit(1);
  }
  return {"cuda", backend.value().get(), {}, {{1, 0}, {1, 1}}, false};
}

inline std::vector<TestedBackend> Processors() {
  std::vector<TestedBackend> processors;
  for (Target target : TargetsToTest()) processors.push_back(Processor(target));
  return processors;
}

inline std::vector<TestedBackend> Backends() { return OnGpu() ? std::vector{Gpu()} : Processors(); }

}  // namespace ninc::test
