// A plan's second run and a second training step allocate nothing. This binary's own operator new
// and aligned_alloc count; every way the core takes memory goes through one of them.
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "base/threads/thread_pool.h"
#include "support/networks.h"

namespace {

std::atomic<int64_t> allocations{0};

void* Allocate(size_t size, size_t alignment = alignof(std::max_align_t)) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return memalign(alignment, size == 0 ? 1 : size);
}

void* AllocateOrThrow(size_t size, size_t alignment = alignof(std::max_align_t)) {
  if (void* memory = Allocate(size, alignment)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(size_t size) { return AllocateOrThrow(size); }
void* operator new[](size_t size) { return AllocateOrThrow(size); }
void* operator new(size_t size, std::align_val_t alignment) {
  return AllocateOrThrow(size, static_cast<size_t>(alignment));
}
void* operator new[](size_t size, std::align_val_t alignment) {
  return AllocateOrThrow(size, static_cast<size_t>(alignment));
}
void* operator new(size_t size, const std::nothrow_t&) noexcept { return Allocate(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return Allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
extern "C" void* aligned_alloc(size_t alignment, size_t size) { return Allocate(size, alignment); }

namespace ninc::test {
namespace {

class Allocations : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override { SetNumThreads(GetParam()); }
  void TearDown() override { SetNumThreads(before_); }

  // Allocations during body(), which must not use gtest: that allocates.
  template <typename Body>
  static int64_t Count(Body body) {
    const int64_t start = allocations.load();
    body();
    return allocations.load() - start;
  }

 private:
  const int before_ = GetNumThreads();
};

TEST_P(Allocations, NoneInASecondRun) {
  for (const Network& network : Networks()) {
    SCOPED_TRACE(network.name);
    const std::shared_ptr<Model> model = RandomModel(network);
    const std::vector<float> x = Random(network.input.size(), 7);
    std::vector<float> y(model->OutputShape(network.input).value().size());
    const auto run = [&] { return model->Run(network.input, View(network.input, x), y.data()); };
    bool ok = true;
    EXPECT_GT(Count([&] { ok = ok && run().ok(); }), 0);  // the counter counts
    EXPECT_EQ(Count([&] {
                for (int i = 0; i < 5; ++i) ok = ok && run().ok();
              }),
              0);
    EXPECT_TRUE(ok);
  }
}

// A step takes as many threads as are set when it begins: more of them need more scratch memory.
TEST_P(Allocations, MoreThreadsBetweenTwoTrainingSteps) {
  const Network network = Networks()[0];
  const std::shared_ptr<Model> model = RandomModel(network);
  const std::unique_ptr<Trainer> trainer = Trainer::Create(model, 0.1f).value();
  const std::vector<float> x = Random(network.input.size(), 7);
  const std::vector<int64_t> labels(network.input.n, 1);
  StepSettings settings;
  settings.updates.assign(TrainableCount(*model), {0.01f, 1e-4f});
  const auto step = [&] {
    return trainer->Step(network.input, View(network.input, x), labels.data(), settings).ok();
  };
  ASSERT_TRUE(step());
  SetNumThreads(GetParam() + 16);
  bool ok = true;
  EXPECT_GT(Count([&] { ok = step(); }), 0);
  EXPECT_TRUE(ok);
}

TEST_P(Allocations, NoneInASecondTrainingStep) {
  std::vector<Network> networks = Networks();
  networks.push_back(LargeMaps());
  networks.push_back(LargeNorms());
  for (const Network& network : networks) {
    SCOPED_TRACE(network.name);
    const std::shared_ptr<Model> model = RandomModel(network);
    const std::unique_ptr<Trainer> trainer = Trainer::Create(model, 0.1f).value();
    const std::vector<float> x = Random(network.input.size(), 7);
    const std::vector<int64_t> labels(network.input.n, 1);
    StepSettings settings;
    settings.rule = rule::Adam();  // which keeps more than SGD
    settings.updates.assign(TrainableCount(*model), {0.01f, 1e-4f});
    const auto step = [&] {
      settings.step += 1;
      return trainer->Step(network.input, View(network.input, x), labels.data(), settings).ok();
    };
    for (const std::vector<size_t>& frozen : {std::vector<size_t>{}, {0, 1}}) {
      ASSERT_TRUE(trainer->SetFrozen(frozen).ok());
      bool ok = true;
      EXPECT_GT(Count([&] { ok = ok && step(); }), 0);
      EXPECT_EQ(Count([&] {
                  for (int i = 0; i < 5; ++i) ok = ok && step();
                }),
                0);
      EXPECT_TRUE(ok);
    }
  }
}

// Other shapes in between: their plans use the same arena.
TEST_P(Allocations, NoneWhenShapesTakeTurns) {
  const Network network = Networks()[0];
  const std::shared_ptr<Model> model = RandomModel(network);
  const Shape small{1, 8, 8, 3}, large{2, 12, 12, 3};
  const std::vector<float> x = Random(large.size(), 7);
  std::vector<float> y(16);
  const auto both = [&] {
    return model->Run(large, View(large, x), y.data()).ok() &&
           model->Run(small, View(small, x), y.data()).ok();
  };
  bool ok = both();
  EXPECT_EQ(Count([&] { ok = ok && both() && both(); }), 0);
  EXPECT_TRUE(ok);
}

INSTANTIATE_TEST_SUITE_P(Threads, Allocations, ::testing::Values(1, 2));

}  // namespace
}  // namespace ninc::test
