// The backend's own part: its memory, its streams and its recordings.
#include "cuda/cuda_backend.h"

#include "cuda/common/launch.h"
#include "cuda/elementwise/elementwise.h"
#include "support/cuda_device.h"
#include "support/step_check.h"

namespace ninc::test {
namespace {

using emulator::Control;

Backend& Device() { return *Gpu().backend; }

TEST(CudaBackendTest, MemoryIsWrittenReadAndGivenBack) {
  EXPECT_EQ(Device().name(), "cuda");
  EXPECT_FALSE(Device().SharesMemory());
  const int64_t before = Control::LiveBytes();
  {
    DeviceMemory memory = std::move(Device().Allocate("test", 4000)).value();
    EXPECT_EQ(memory.size(), 4000u);
    EXPECT_GE(Control::LiveBytes(), before + 4000);
    const std::vector<float> values = Random(1000, 1);
    ExpectOk(Device().Write(memory.data(), values.data(), 4000));
    std::vector<float> back(1000);
    ExpectOk(Device().Read(back.data(), memory.data(), 4000));
    EXPECT_TRUE(SameBits(back, values));
  }
  EXPECT_EQ(Control::LiveBytes(), before);
  const Result<DeviceMemory> nothing = Device().Allocate("test", 0);
  EXPECT_TRUE(nothing.ok() && nothing->empty());
}

TEST(CudaBackendTest, TooLittleMemoryIsAnErrorThatSaysHowMuch) {
  const Result<DeviceMemory> memory = Device().Allocate("activations", size_t{1} << 50);
  EXPECT_EQ(memory.status().code(), StatusCode::kDevice);
  EXPECT_NE(memory.status().message().find("activations"), std::string::npos)
      << memory.status().message();
  StepCall call(Gpu());  // nothing is broken by it
  EXPECT_EQ(call.Read(call.Values<float>({1.0f})), 1.0f);
}

// Those who open a device need not wait for one another.
TEST(CudaBackendTest, EachOpeningHasAStreamOfItsOwn) {
  const std::shared_ptr<Backend> again = std::move(OpenDevice("cuda")).value();
  EXPECT_NE(again.get(), &Device());
  const std::shared_ptr<Backend> stream = std::move(Device().NewStream()).value();
  ASSERT_NE(stream, nullptr);
  EXPECT_NE(stream.get(), &Device());
  StepCall call(Gpu());
  const std::vector<float> x = Random(50, 2);
  const StepArray from = call.In(x), to = call.Out(50);
  ExpectOk(Device().Synchronize());
  ExpectOk(RunStep(*stream, step::ActivationForward{kNone, 0, 1}, {from, to}, 1));
  EXPECT_TRUE(SameBits(call.Finish()[0], x));
}

// y = x * 2^turns in place, counted by how often the body itself runs.
struct Doubling {
  Doubling() : stream(std::move(Device().NewStream()).value()) {
    memory = std::move(stream->Allocate("test", 4 * sizeof(float))).value();
    const std::vector<float> ones(4, 1.0f);
    ExpectOk(stream->Write(memory.data(), ones.data(), 4 * sizeof(float)));
  }
  Status Run(uint64_t plan) {
    return stream->Replay(RecordingKey{plan, 0}, [&] {
      ++bodies;
      const cuda::AddArgs args{memory.as(),  memory.as(), memory.as(), 4, cuda::MakeLimits(kNone),
                               /*vectors=*/1};
      return static_cast<cuda::CudaBackend&>(*stream).stream().Launch({"elementwise", "ninc_add"},
                                                                      cuda::Grid{}, args);
    });
  }
  float Value() {
    float value = 0.0f;
    ExpectOk(stream->Read(&value, memory.data(), sizeof(float)));
    return value;
  }
  std::shared_ptr<Backend> stream;
  DeviceMemory memory;
  int bodies = 0;
};

TEST(CudaBackendTest, TheSecondRunIsRecordedAndTheThirdReplayed) {
  Doubling doubling;
  for (int turn = 1; turn <= 5; ++turn) {
    ExpectOk(doubling.Run(1));
    EXPECT_EQ(doubling.Value(), static_cast<float>(1 << turn));
    EXPECT_EQ(doubling.bodies, std::min(turn, 2));
  }
  ExpectOk(doubling.Run(2));  // another plan
  EXPECT_EQ(doubling.bodies, 3);
  doubling.stream->ForgetRecordings();
  ExpectOk(doubling.Run(1));
  EXPECT_EQ(doubling.bodies, 4);
  EXPECT_EQ(doubling.Value(), 128.0f);
}

TEST(CudaBackendTest, ManyPlansOnOneStreamForgetTheOldest) {
  Doubling doubling;
  for (uint64_t plan = 0; plan < 65; ++plan) ExpectOk(doubling.Run(plan));
  doubling.bodies = 0;
  ExpectOk(doubling.Run(64));
  ExpectOk(doubling.Run(64));
  EXPECT_EQ(doubling.bodies, 1);  // recorded, then replayed
  ExpectOk(doubling.Run(0));
  ExpectOk(doubling.Run(0));
  EXPECT_EQ(doubling.bodies, 3);  // as if it were new: run, then recorded
}

TEST(CudaBackendTest, AFailureOfTheBodyIsTheAnswerAndNothingIsKept) {
  Doubling doubling;
  const auto failing = [] { return InvalidArgument("of the body"); };
  for (int turn = 0; turn < 2; ++turn) {
    EXPECT_EQ(doubling.stream->Replay(RecordingKey{1, 0}, failing).message(), "of the body");
  }
  ExpectOk(doubling.Run(1));
  EXPECT_EQ(doubling.stream->Replay(RecordingKey{1, 0}, failing).message(), "of the body");
  ExpectOk(doubling.Run(1));
  ExpectOk(doubling.Run(1));
  EXPECT_EQ(doubling.Value(), 8.0f);
}

}  // namespace
}  // namespace ninc::test
