// Several threads, each with its own stream, share the context.
#include <atomic>
#include <thread>

#include "support/cuda_device.h"

namespace ninc::cuda {
namespace {

TEST(ThreadsTest, ShareTheContext) {
  InOwnProcess([] {
    constexpr int kThreads = 4;
    constexpr int kTurns = 20;
    constexpr size_t kCount = 300;
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int id = 0; id < kThreads; ++id) {
      threads.emplace_back([&wrong, id] {
        // Also the context is made by whoever comes first, and each kernel loaded once.
        Context* context = Value(Context::Get());
        const auto stream = Value(context->NewStream());
        for (int turn = 0; turn < kTurns; ++turn) {
          const DeviceFloats x(*context, kCount);
          const DeviceFloats y(*context, kCount);
          const auto value = static_cast<float>(id * 100 + turn);
          bool good = CopyIn(*stream, x, std::vector<float>(kCount, value)).ok();
          const auto body = [&] { return Clamp(*stream, x.data(), y.data(), kCount, 50, 150); };
          if (turn % 2 == 0) {
            good = good && body().ok();
          } else {
            const auto recording = Value(stream->Record(body));
            good = good && stream->Replay(*recording).ok();
          }
          const float expected = std::fmin(std::fmax(value, 50.0F), 150.0F);
          good = good && CopyOut(*stream, y, kCount) == std::vector<float>(kCount, expected);
          if (!good) ++wrong;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(Control::Launches(), kThreads * kTurns);
    EXPECT_EQ(Value(Context::Get())->memory().blocks, 0u);
  });
}

}  // namespace
}  // namespace ninc::cuda
