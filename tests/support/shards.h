// Steps that several workers make together from shards of a batch.
#pragma once

#include <gtest/gtest.h>

#include <barrier>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "ninc/training.h"
#include "support/training.h"

namespace ninc::test {

using ShardSums = std::map<std::pair<int64_t, int64_t>, std::vector<float>>;

// The sum of a part of the tree, from the sums of its parts.
inline std::vector<float> Total(const Trainer& trainer, const ShardSums& sums,
                                const Stretch& part) {
  const auto found = sums.find({part.begin, part.end});
  if (found != sums.end()) return found->second;
  const int64_t middle = ShardTree::Middle(part);
  std::vector<float> total = Total(trainer, sums, {part.begin, middle});
  EXPECT_TRUE(trainer.AddSum(Total(trainer, sums, {middle, part.end}), total).ok());
  return total;
}

// Where threads that make a step together put what each of them gives, and get it all.
class Meeting {
 public:
  explicit Meeting(int64_t number) : parts_(number), all_there_(number), all_gone_(number) {}

  std::vector<float> Gather(int64_t worker, const std::vector<float>& own) {
    parts_[worker] = own;
    all_there_.arrive_and_wait();
    std::vector<float> all;
    for (const std::vector<float>& part : parts_) all.insert(all.end(), part.begin(), part.end());
    all_gone_.arrive_and_wait();
    return all;
  }

  // A worker that has failed is waited for no more.
  void Leave() {
    all_there_.arrive_and_drop();
    all_gone_.arrive_and_drop();
  }

 private:
  std::vector<std::vector<float>> parts_;  // by worker
  std::barrier<> all_there_, all_gone_;
};

// Each worker has a trainer and a network of its own, and a thread, and computes shards that follow
// one another.
inline void StepTogether(const std::vector<std::unique_ptr<Problem>>& workers,
                         const StepSettings& settings) {
  const Shape& batch = workers.front()->input;
  const ShardTree tree(batch.n, settings.shards);
  const auto number = static_cast<int64_t>(workers.size());
  const auto own = [&](int64_t w) {
    return Stretch{w * settings.shards / number, (w + 1) * settings.shards / number};
  };
  Meeting meeting(number);
  std::vector<std::optional<Result<std::vector<float>>>> found(workers.size());
  const auto add = [&](int64_t w) {
    Problem& worker = *workers[w];
    StridedView x = View(batch, worker.x);
    x.data += tree.Rows(own(w)).begin * x.strides[0];
    found[w] = worker.trainer->AddShards(
        batch, x, worker.labels.data(), settings, own(w).begin, own(w).end,
        [&, w](const std::vector<float>& sums, size_t) { return meeting.Gather(w, sums); });
    if (!found[w]->ok()) meeting.Leave();
  };
  std::vector<std::thread> threads;
  for (int64_t w = 1; w < number; ++w) threads.emplace_back(add, w);
  add(0);
  for (std::thread& thread : threads) thread.join();

  ShardSums sums;
  for (int64_t w = 0; w < number; ++w) {
    ASSERT_TRUE(found[w]->ok()) << found[w]->status().message();
    const std::vector<float>& parts = **found[w];
    const std::vector<Stretch> roots = tree.Roots(own(w));
    for (size_t i = 0; i < roots.size(); ++i) {
      const size_t size = parts.size() / roots.size();
      sums[{roots[i].begin, roots[i].end}].assign(parts.begin() + i * size,
                                                  parts.begin() + (i + 1) * size);
    }
  }
  const std::vector<float> total = Total(*workers.front()->trainer, sums, {0, tree.count()});
  for (const auto& worker : workers) {
    const auto result = worker->trainer->UpdateBySum(batch, total, settings);
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_TRUE(result->updated);
  }
}

}  // namespace ninc::test
