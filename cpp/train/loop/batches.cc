// Epochs in random order.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/memory_limit.h"
#include "base/philox.h"
#include "ninc/training.h"
#include "run/model_impl.h"
#include "train/loop/check_data.h"

namespace ninc {
namespace {

// A layer that no network has, so that shuffling and dropout draw different numbers from one seed.
constexpr uint32_t kShuffleLayer = 0xFFFFFFFF;

// Uniform in [0, 1), in steps of 2^-53; number `index` of the epoch's.
double Uniform(PhiloxKey key, uint64_t epoch, uint64_t index) {
  const PhiloxCounter words = Philox4x32(BlockCounter(index, epoch), key);
  const uint64_t bits = static_cast<uint64_t>(words[0]) << 32 | words[1];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace

Result<std::vector<int64_t>> ShuffledOrder(int64_t count, uint64_t seed, uint64_t epoch) {
  constexpr int64_t kMost = int64_t{1} << 40;
  if (count < 0 || count > kMost) {
    return InvalidArgument("count must be 0 to 2^40, got " + std::to_string(count));
  }
  NINC_RETURN_IF_ERROR(
      CheckMemory("an epoch's order", static_cast<uint64_t>(count) * sizeof(int64_t)));
  return CatchOutOfMemory("an epoch's order", [&]() -> Result<std::vector<int64_t>> {
    std::vector<int64_t> order(static_cast<size_t>(count));
    std::iota(order.begin(), order.end(), int64_t{0});
    const PhiloxKey key = LayerKey(seed, kShuffleLayer);
    for (size_t last = order.size(); last > 1; --last) {
      // The product cannot round up to `last`: that is half a step of double away, or more.
      const double place = Uniform(key, epoch, last) * static_cast<double>(last);
      std::swap(order[last - 1], order[static_cast<size_t>(place)]);
    }
    return order;
  });
}

Result<ShuffledBatches> ShuffledBatches::Create(const LabelledPictures& data, int64_t batch_size,
                                                uint64_t seed, uint64_t epoch) {
  NINC_RETURN_IF_ERROR(CheckData(data, batch_size));
  NINC_ASSIGN_OR_RETURN(std::vector<int64_t> order, ShuffledOrder(data.shape.n, seed, epoch));
  const auto largest = static_cast<size_t>(std::min(batch_size, data.shape.n));
  const size_t picture = static_cast<size_t>(data.shape.size() / data.shape.n);
  NINC_RETURN_IF_ERROR(CheckMemory("a batch", largest * picture * sizeof(float)));
  return CatchOutOfMemory("a batch", [&]() -> Result<ShuffledBatches> {
    ShuffledBatches batches;
    batches.data_ = data;
    batches.order_ = std::move(order);
    batches.count_ = (data.shape.n - 1) / batch_size + 1;
    batches.pictures_.resize(largest * picture);
    batches.labels_.resize(largest);
    return batches;
  });
}

const Batch* ShuffledBatches::Next() {
  if (given_ >= count_ || order_.empty()) return nullptr;  // none are left in what was moved from
  const int64_t size = data_.shape.n / count_, larger = data_.shape.n % count_;
  const int64_t begin = given_ * size + std::min(given_, larger);
  Shape shape = data_.shape;
  shape.n = size + (given_ < larger ? 1 : 0);
  const size_t picture = static_cast<size_t>(data_.shape.size() / data_.shape.n);
  for (int64_t i = 0; i < shape.n; ++i) {
    const auto from = static_cast<size_t>(order_[static_cast<size_t>(begin + i)]);
    std::memcpy(pictures_.data() + static_cast<size_t>(i) * picture,
                data_.pictures + from * picture, picture * sizeof(float));
    labels_[static_cast<size_t>(i)] = data_.labels[from];
  }
  ++given_;
  batch_ = {shape, Contiguous(pictures_.data(), shape), labels_.data()};
  return &batch_;
}

double ShuffledBatches::progress() const {
  if (count_ == 0) return 0.0;
  return static_cast<double>(std::max<int64_t>(given_ - 1, 0)) / static_cast<double>(count_);
}

}  // namespace ninc
