// Steps that several workers make together from shards of a batch.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "ninc/training.h"
#include "support/training.h"

namespace ninc::test {

using ShardSums = std::map<std::pair<int64_t, int64_t>, std::vector<float>>;

// The sum of a part of the tree, from the sums of its parts.
inline std::vector<float> Total(const ShardSums& sums, const Stretch& part) {
  const auto found = sums.find({part.begin, part.end});
  if (found != sums.end()) return found->second;
  const int64_t middle = ShardTree::Middle(part);
  std::vector<float> total = Total(sums, {part.begin, middle});
  const std::vector<float> right = Total(sums, {middle, part.end});
  for (size_t i = 0; i < total.size(); ++i) total[i] += right[i];
  return total;
}

// Each worker has a trainer and a network of its own, and computes shards that follow one another.
inline void StepTogether(const std::vector<std::unique_ptr<Problem>>& workers,
                         const StepSettings& settings) {
  ShardSums sums;
  const Shape& batch = workers.front()->input;
  const ShardTree tree(batch.n, settings.shards);
  const auto number = static_cast<int64_t>(workers.size());
  for (int64_t w = 0; w < number; ++w) {
    const Stretch own{w * settings.shards / number, (w + 1) * settings.shards / number};
    Problem& worker = *workers[w];
    StridedView x = View(batch, worker.x);
    x.data += tree.Rows(own).begin * x.strides[0];
    const auto found =
        worker.trainer->AddShards(batch, x, worker.labels.data(), settings, own.begin, own.end);
    ASSERT_TRUE(found.ok()) << found.status().message();
    const std::vector<Stretch> roots = tree.Roots(own);
    for (size_t i = 0; i < roots.size(); ++i) {
      const size_t size = found->size() / roots.size();
      sums[{roots[i].begin, roots[i].end}].assign(found->begin() + i * size,
                                                  found->begin() + (i + 1) * size);
    }
  }
  const std::vector<float> total = Total(sums, {0, tree.count()});
  for (const auto& worker : workers) {
    const auto result = worker->trainer->UpdateBySum(batch, total, settings);
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_TRUE(result->updated);
  }
}

}  // namespace ninc::test
