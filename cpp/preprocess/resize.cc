#include "preprocess/resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "base/memory_limit.h"

namespace ninc {
namespace {

constexpr int kBinaryPlaces = 22;  // 255 times a weight of 1, and a half, stay below 2^31
constexpr int32_t kHalf = 1 << (kBinaryPlaces - 1);

uint8_t ToByte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kBinaryPlaces, 0, 255));
}

// The weights of each wanted pixel, one pixel after another.
struct Weights {
  struct Range {
    int64_t first = 0, count = 0;  // in the source
    size_t offset = 0;             // of its weights in `values`
  };
  std::vector<Range> ranges;
  std::vector<int32_t> values;
};

// The numbers are computed in the order and with the types that Pillow has: another order gives
// other last digits, and now and then another byte.
Weights WeightsOf(int64_t source, const Resizing& resizing) {
  const double scale =
      static_cast<double>(resizing.end - resizing.begin) / static_cast<double>(resizing.size);
  const double reach = std::max(scale, 1.0);
  Weights weights;
  weights.ranges.reserve(static_cast<size_t>(resizing.count));
  std::vector<double> parts;
  for (int64_t i = resizing.first; i < resizing.first + resizing.count; ++i) {
    const double center = resizing.begin + (static_cast<double>(i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(center - reach + 0.5));
    const int64_t last = std::min(source, static_cast<int64_t>(center + reach + 0.5));
    parts.clear();
    double sum = 0.0;
    for (int64_t at = first; at < last; ++at) {
      const double away = std::abs((static_cast<double>(at) - center + 0.5) * (1.0 / reach));
      parts.push_back(away < 1.0 ? 1.0 - away : 0.0);
      sum += parts.back();
    }
    weights.ranges.push_back({first, static_cast<int64_t>(parts.size()), weights.values.size()});
    for (const double part : parts) {
      const double share = sum != 0.0 ? part / sum : part;
      weights.values.push_back(static_cast<int32_t>(0.5 + share * (1 << kBinaryPlaces)));
    }
  }
  return weights;
}

// The pixels of the source that any of the wanted ones is made of.
Weights::Range Seen(const Weights& weights) {
  const Weights::Range& last = weights.ranges.back();
  const int64_t first = weights.ranges.front().first;
  return {.first = first, .count = std::max<int64_t>(0, last.first + last.count - first)};
}

// One line: y[j, c] = sum over s of weights[j, s] * x[s, c], where x begins at pixel `begin`.
template <int kChannels>
void ResizeLine(const Weights& weights, const uint8_t* x, int64_t begin, uint8_t* y) {
  for (const Weights::Range& range : weights.ranges) {
    int32_t sums[kChannels];
    std::fill_n(sums, kChannels, kHalf);
    const uint8_t* from = x + (range.first - begin) * kChannels;
    const int32_t* weight = weights.values.data() + range.offset;
    for (int64_t s = 0; s < range.count; ++s) {
      for (int c = 0; c < kChannels; ++c) sums[c] += weight[s] * from[s * kChannels + c];
    }
    for (int c = 0; c < kChannels; ++c) *y++ = ToByte(sums[c]);
  }
}

// One line of `range.count` lines: y[k] = sum over r of weights[r] * x[r, k]
// sums: room for as many as a line has bytes.
void ResizeDown(const Weights::Range& range, const Weights& weights, const uint8_t* x,
                int64_t stride, std::vector<int32_t>* sums, uint8_t* y) {
  const size_t width = sums->size();
  int32_t* const sum = sums->data();
  std::fill_n(sum, width, kHalf);
  for (int64_t r = 0; r < range.count; ++r) {
    const int32_t weight = weights.values[range.offset + static_cast<size_t>(r)];
    const uint8_t* const line = x + r * stride;
    for (size_t k = 0; k < width; ++k) sum[k] += weight * line[k];
  }
  for (size_t k = 0; k < width; ++k) y[k] = ToByte(sum[k]);
}

// Lines of bytes, `stride` bytes from one to the next, to read and to write.
struct Lines {
  const uint8_t* bytes = nullptr;
  int64_t stride = 0;
};
struct Output {
  uint8_t* bytes = nullptr;
  int64_t stride = 0;
};

class Passes {
 public:
  Passes(const Picture& source, const Resizing& down, const Resizing& across)
      : source_(source),
        rows_(WeightsOf(source.height, down)),
        columns_(WeightsOf(source.width, across)) {}

  Status LinesFirst(const Output& to) const {
    const Weights::Range seen = Seen(rows_);
    const int64_t width = static_cast<int64_t>(columns_.ranges.size()) * source_.channels;
    NINC_ASSIGN_OR_RETURN(const AlignedBuffer memory, Room(seen.count * width));
    const Output narrow{memory.as<uint8_t>(), width};
    for (int64_t i = 0; i < seen.count; ++i) {
      ResizeLine(At(seen.first + i, 0), 0, narrow.bytes + i * width);
    }
    Down({narrow.bytes, width}, seen.first, static_cast<size_t>(width), to);
    return {};
  }

  Status ColumnsFirst(const Output& to) const {
    const Weights::Range seen = Seen(columns_);
    const int64_t width = seen.count * source_.channels;
    const auto count = static_cast<int64_t>(rows_.ranges.size());
    NINC_ASSIGN_OR_RETURN(const AlignedBuffer memory, Room(count * width));
    const Output low{memory.as<uint8_t>(), width};
    const Lines all{At(0, seen.first), source_.width * source_.channels};
    Down(all, 0, static_cast<size_t>(width), low);
    for (int64_t i = 0; i < count; ++i) {
      ResizeLine(low.bytes + i * width, seen.first, to.bytes + i * to.stride);
    }
    return {};
  }

 private:
  const uint8_t* At(int64_t row, int64_t column) const {
    return source_.pixels + (row * source_.width + column) * source_.channels;
  }
  static Result<AlignedBuffer> Room(int64_t bytes) {
    return Allocate("resized pictures", static_cast<size_t>(bytes));
  }
  void ResizeLine(const uint8_t* x, int64_t begin, uint8_t* y) const {
    (source_.channels == 1 ? ninc::ResizeLine<1> : ninc::ResizeLine<3>)(columns_, x, begin, y);
  }
  // x: lines of the source from number `begin` on
  void Down(const Lines& x, int64_t begin, size_t width, const Output& to) const {
    std::vector<int32_t> sums(width);
    for (size_t i = 0; i < rows_.ranges.size(); ++i) {
      const Weights::Range& range = rows_.ranges[i];
      ResizeDown(range, rows_, x.bytes + (range.first - begin) * x.stride, x.stride, &sums,
                 to.bytes + static_cast<int64_t>(i) * to.stride);
    }
  }

  const Picture& source_;
  Weights rows_, columns_;
};

}  // namespace

Status Resize(const Picture& source, const Resizing& down, const Resizing& across, uint8_t* to,
              int64_t stride) {
  if (std::max(source.height, source.width) > kLargestSide) {
    return InvalidShape("pictures that are resized have sides of at most " +
                        std::to_string(kLargestSide) + " pixels, got " +
                        std::to_string(source.height) + "×" + std::to_string(source.width));
  }
  if (down.count < 1 || across.count < 1) return {};
  const Passes passes(source, down, across);
  // The rule of Pillow 13 for which pass comes first; bytes are rounded in between. Before 13 it
  // was lines always.
  const int64_t lower = source.height - down.size, narrower = source.width - across.size;
  if (lower > std::max<int64_t>(0, 2 * narrower)) return passes.ColumnsFirst({to, stride});
  return passes.LinesFirst({to, stride});
}

}  // namespace ninc
