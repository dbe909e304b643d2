// A few rows at a time, so that the second look at them (deviations from their own mean) finds them
// in the first-level cache.
#include "cpu/norm/norm_rows.h"

#include <algorithm>

#include "cpu/schedule/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/norm/norm_rows.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {

// So many rows of three vectors are read twice, the second time from the first-level cache.
constexpr int64_t kNearRows = 128;

// What of `rows` more rows with mean m_b and squared deviations s_b goes into `seen` rows with
// m_a, s_a:  d = m_b - m_a;  m = m_a + d * n_b/n;  s = s_a + s_b + d² * n_a * n_b/n
struct Join {
  HWY_INLINE Join(int64_t seen, int64_t rows) {
    const float share = static_cast<float>(static_cast<double>(rows) / (seen + rows));
    mean = hn::Set(D(), share);
    squares = hn::Set(D(), static_cast<float>(seen) * share);
  }
  HWY_INLINE void operator()(V other_mean, V other_squares, V& m, V& s) const {
    const V d = hn::Sub(other_mean, m);
    m = hn::MulAdd(d, mean, m);
    s = hn::Add(s, hn::MulAdd(hn::Mul(d, d), squares, other_squares));
  }
  V mean, squares;
};

// Joins at most kNearRows rows to the `seen` ones whose statistics stand in mean and squares.
HWY_INLINE void JoinNearRows(const float* const* rows, int64_t count, int64_t seen, int64_t columns,
                             float* mean, float* squares) {
  const Join join(seen, count);
  const V inverse = hn::Set(D(), 1.0f / static_cast<float>(count));
  ForEachSlice<3>(columns, [&](int64_t c, auto slice) HWY_ATTR {
    constexpr int kV = decltype(slice)::kVectors;
    V m[kV], s[kV];
    for (int v = 0; v < kV; ++v) m[v] = s[v] = hn::Zero(D());
    for (int64_t row = 0; row < count; ++row) {
      const float* x = rows[row] + c;
      for (int v = 0; v < kV; ++v) m[v] = hn::Add(m[v], slice.Load(x, v));
    }
    for (int v = 0; v < kV; ++v) m[v] = hn::Mul(m[v], inverse);
    for (int64_t row = 0; row < count; ++row) {
      const float* x = rows[row] + c;
      for (int v = 0; v < kV; ++v) {
        const V d = hn::Sub(slice.Load(x, v), m[v]);
        s[v] = hn::MulAdd(d, d, s[v]);
      }
    }
    for (int v = 0; v < kV; ++v) {
      if (seen > 0) {
        V all_m = slice.Load(mean + c, v), all_s = slice.Load(squares + c, v);
        join(m[v], s[v], all_m, all_s);
        m[v] = all_m;
        s[v] = all_s;
      }
      slice.Store(m[v], mean + c, v);
      slice.Store(s[v], squares + c, v);
    }
  });
}

// dy masked by what the activation gave: y(i), or what it is given anew.
template <bool kReadsY, class Kind, class Slice>
HWY_INLINE V GradientOf(Kind kind, const Slice& slice, V dy, const float* y, int64_t i, V centred,
                        V scale, V bias, int v) {
  if constexpr (!Kind::kLimited) return dy;
  if constexpr (kReadsY) return Masked(kind, dy, slice.Load(y + i, v));
  return Masked(kind, dy, hn::MulAdd(centred, scale, bias));
}

template <bool kReadsY, class Kind>
HWY_INLINE void AddSums(Kind kind, const Normalization& norm, const NormGradientRows& block,
                        float* sums) {
  ForEachSlice<2>(block.channels, [&](int64_t c, auto slice) HWY_ATTR {
    constexpr int kV = decltype(slice)::kVectors;
    constexpr bool kMasks = !kReadsY && Kind::kLimited;
    V sum[kV], product[kV], centre[kV], scale[kV], bias[kV];
    for (int v = 0; v < kV; ++v) {
      sum[v] = product[v] = hn::Zero(D());
      centre[v] = slice.Load(norm.mean + c, v);
      scale[v] = kMasks ? slice.Load(norm.scale + c, v) : hn::Zero(D());
      bias[v] = kMasks ? slice.Load(norm.bias + c, v) : hn::Zero(D());
    }
    for (int64_t row = 0; row < block.rows; ++row) {
      const int64_t i = row * block.channels + c;
      for (int v = 0; v < kV; ++v) {
        const V centred = hn::Sub(slice.Load(block.z + i, v), centre[v]);
        const V g = GradientOf<kReadsY>(kind, slice, slice.Load(block.dy + i, v), block.y, i,
                                        centred, scale[v], bias[v], v);
        sum[v] = hn::Add(sum[v], g);
        product[v] = hn::MulAdd(g, centred, product[v]);
      }
    }
    for (int v = 0; v < kV; ++v) {
      float* to = sums + c;
      float* products = to + block.channels;
      slice.Store(hn::Add(slice.Load(to, v), sum[v]), to, v);
      slice.Store(hn::Add(slice.Load(products, v), product[v]), products, v);
    }
  });
}

template <bool kReadsY, class Kind>
HWY_INLINE void InputGradient(Kind kind, const Normalization& norm, const NormGradientRows& block,
                              const float* offset, const float* slope, float* dz) {
  constexpr bool kMasks = !kReadsY && Kind::kLimited;
  for (int64_t row = 0; row < block.rows; ++row) {
    ForEachSlice<1>(block.channels, [&](int64_t c, auto slice) HWY_ATTR {
      const int64_t i = row * block.channels + c;
      const V centred = hn::Sub(slice.Load(block.z + i), slice.Load(norm.mean + c));
      const V scale = slice.Load(norm.scale + c);
      const V bias = kMasks ? slice.Load(norm.bias + c) : hn::Zero(D());
      const V g = GradientOf<kReadsY>(kind, slice, slice.Load(block.dy + i), block.y, i, centred,
                                      scale, bias, 0);
      const V rest =
          hn::NegMulAdd(centred, slice.Load(slope + c), hn::Sub(g, slice.Load(offset + c)));
      slice.Store(hn::Mul(rest, scale), dz + i);
    });
  }
}

void Normalize(const Normalization& norm, int64_t rows, int64_t channels, const float* z,
               float* y) {
  WithKind(norm.activation, [&](auto kind) HWY_ATTR {
    for (int64_t row = 0; row < rows; ++row) {
      ForEachSlice<1>(channels, [&](int64_t c, auto slice) HWY_ATTR {
        const int64_t i = row * channels + c;
        const V centred = hn::Sub(slice.Load(z + i), slice.Load(norm.mean + c));
        const V scaled = hn::MulAdd(centred, slice.Load(norm.scale + c), slice.Load(norm.bias + c));
        slice.Store(Activated(kind, scaled), y + i);
      });
    }
  });
}

// Rows of so few channels that several fill a vector are taken as fewer, longer rows, whose
// channels are the same ones again and again. Vectors of which only a part is used cost as much as
// full ones, and far more where a result is written over what was read: the next row's load waits
// for the store before it, which covers its place though it writes nothing there.
struct Fold {
  Fold(int64_t rows, int64_t channels)
      : times(std::max<int64_t>(1, kLanes / std::max<int64_t>(1, channels))),
        rows(times > 1 ? rows / times : 0),
        channels(times * channels),
        taken(this->rows * times) {}

  int64_t times;     // rows in one
  int64_t rows;      // such rows, none where a row fills a vector
  int64_t channels;  // of one
  int64_t taken;     // rows that went into them: the others are left
};

// A row of channels, as often as a vector holds it.
class Repeated {
 public:
  // Nothing where there are no values.
  Repeated(const Fold& fold, const float* values) : given_(values != nullptr) {
    if (!given_) return;
    const int64_t channels = fold.channels / fold.times;
    for (int64_t i = 0; i < fold.channels; ++i) values_[i] = values[i % channels];
  }
  const float* data() const { return given_ ? values_ : nullptr; }

 private:
  bool given_;
  HWY_ALIGN float values_[kLanes];
};

struct RepeatedNorm {
  RepeatedNorm(const Fold& fold, const Normalization& norm)
      : activation(norm.activation),
        mean(fold, norm.mean),
        scale(fold, norm.scale),
        bias(fold, norm.bias) {}
  Normalization Arrays() const { return {mean.data(), scale.data(), bias.data(), activation}; }

  Activation activation;
  Repeated mean, scale, bias;
};

// The rows that were folded, and those that are left.
NormGradientRows Folded(const NormGradientRows& block, const Fold& fold) {
  return {fold.rows, fold.channels, block.dy, block.z, block.y};
}
NormGradientRows Left(const NormGradientRows& block, const Fold& fold) {
  const int64_t first = fold.taken * block.channels;
  return {block.rows - fold.taken, block.channels, block.dy + first, block.z + first,
          block.y == nullptr ? nullptr : block.y + first};
}

void JoinBlock(const float* x, int64_t rows, int64_t seen, int64_t columns, float* mean,
               float* squares) {
  const float* near[kNearRows];
  for (int64_t done = 0; done < rows; done += kNearRows) {
    const int64_t count = std::min(kNearRows, rows - done);
    for (int64_t m = 0; m < count; ++m) near[m] = x + (done + m) * columns;
    JoinNearRows(near, count, seen + done, columns, mean, squares);
  }
}

// Adds up what stands `channels` floats apart: sums(c) += sum over t of from(t, c).
void Unfold(const Fold& fold, const float* from, int64_t channels, float* sums) {
  for (int64_t i = 0; i < fold.channels; ++i) sums[i % channels] += from[i];
}

}  // namespace

int64_t RowStatistics(const float* const* rows, int64_t count, int64_t columns, float* mean,
                      float* squares) {
  const float* near[kNearRows];
  int64_t seen = 0;
  for (int64_t m = 0; m < count;) {
    int64_t found = 0;
    for (; m < count && found < kNearRows; ++m) {
      if (rows[m] != nullptr) near[found++] = rows[m];
    }
    if (found > 0) JoinNearRows(near, found, seen, columns, mean, squares);
    seen += found;
  }
  return seen;
}

void BlockStatistics(const float* x, int64_t rows, int64_t columns, float* mean, float* squares) {
  const Fold fold(rows, columns);
  if (fold.rows == 0) return JoinBlock(x, rows, 0, columns, mean, squares);
  HWY_ALIGN float means[kLanes], deviations[kLanes];
  JoinBlock(x, fold.rows, 0, fold.channels, means, deviations);
  // Every column of a folded row stands for as many rows.
  for (int64_t c = 0; c < columns; ++c) {
    float sum = 0.0f;
    for (int64_t i = c; i < fold.channels; i += columns) sum += means[i];
    mean[c] = sum / static_cast<float>(fold.times);
    squares[c] = 0.0f;
    for (int64_t i = c; i < fold.channels; i += columns) {
      const float d = means[i] - mean[c];
      squares[c] += deviations[i] + d * d * static_cast<float>(fold.rows);
    }
  }
  JoinBlock(x + fold.taken * columns, rows - fold.taken, fold.taken, columns, mean, squares);
}

void JoinStatistics(int64_t blocks, const int64_t* rows, const float* partial, int64_t channels,
                    float* mean, float* squares, int threads) {
  constexpr int64_t kTaskChannels = 64;
  ParallelBlocks(threads, channels, kTaskChannels, [&](int64_t begin, int64_t end) HWY_ATTR {
    ForEachSlice<1>(end - begin, [&](int64_t i, auto slice) HWY_ATTR {
      const float* own = partial + begin + i;
      V m = slice.Load(own), s = slice.Load(own + channels);
      int64_t seen = rows[0];
      for (int64_t block = 1; block < blocks; seen += rows[block++]) {
        own += 2 * channels;
        const Join join(seen, rows[block]);
        join(slice.Load(own), slice.Load(own + channels), m, s);
      }
      slice.Store(m, mean + begin + i);
      slice.Store(s, squares + begin + i);
    });
  });
}

void NormalizeRows(const Normalization& norm, int64_t rows, int64_t channels, const float* z,
                   float* y) {
  const Fold fold(rows, channels);
  if (fold.rows > 0) {
    Normalize(RepeatedNorm(fold, norm).Arrays(), fold.rows, fold.channels, z, y);
  }
  const int64_t first = fold.taken * channels;
  Normalize(norm, rows - fold.taken, channels, z + first, y + first);
}

void AddGradientSums(const Normalization& norm, const NormGradientRows& block, float* sums) {
  const auto add = [](const Normalization& norm, const NormGradientRows& block, float* sums)
                       HWY_ATTR {
                         WithKind(norm.activation, [&](auto kind) HWY_ATTR {
                           if (block.y == nullptr) return AddSums<false>(kind, norm, block, sums);
                           AddSums<true>(kind, norm, block, sums);
                         });
                       };
  const Fold fold(block.rows, block.channels);
  if (fold.rows > 0) {
    float folded[2 * kLanes] = {};
    add(RepeatedNorm(fold, norm).Arrays(), Folded(block, fold), folded);
    Unfold(fold, folded, block.channels, sums);
    Unfold(fold, folded + fold.channels, block.channels, sums + block.channels);
  }
  add(norm, Left(block, fold), sums);
}

void InputGradientRows(const Normalization& norm, const NormGradientRows& block,
                       const float* offset, const float* slope, float* dz) {
  const auto give = [](const Normalization& norm, const NormGradientRows& block,
                       const float* offset, const float* slope, float* dz) HWY_ATTR {
    WithKind(norm.activation, [&](auto kind) HWY_ATTR {
      if (block.y == nullptr) return InputGradient<false>(kind, norm, block, offset, slope, dz);
      InputGradient<true>(kind, norm, block, offset, slope, dz);
    });
  };
  const Fold fold(block.rows, block.channels);
  if (fold.rows > 0) {
    give(RepeatedNorm(fold, norm).Arrays(), Folded(block, fold), Repeated(fold, offset).data(),
         Repeated(fold, slope).data(), dz);
  }
  give(norm, Left(block, fold), offset, slope, dz + fold.taken * block.channels);
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

int64_t RowStatistics(Target target, const float* const* rows, int64_t count, int64_t columns,
                      float* mean, float* squares) {
  return NINC_DISPATCH(target, RowStatistics)(rows, count, columns, mean, squares);
}
void BlockStatistics(Target target, const float* x, int64_t rows, int64_t columns, float* mean,
                     float* squares) {
  NINC_DISPATCH(target, BlockStatistics)(x, rows, columns, mean, squares);
}
void JoinStatistics(Target target, int64_t blocks, const int64_t* rows, const float* partial,
                    int64_t channels, float* mean, float* squares, int threads) {
  NINC_DISPATCH(target, JoinStatistics)(blocks, rows, partial, channels, mean, squares, threads);
}
void NormalizeRows(Target target, const Normalization& norm, int64_t rows, int64_t channels,
                   const float* z, float* y) {
  NINC_DISPATCH(target, NormalizeRows)(norm, rows, channels, z, y);
}
void StoreGradientSums(int64_t tasks, const float* sums, int64_t stride, int64_t channels,
                       const float* inv_std, float* dweight, float* dbias) {
  std::fill_n(dbias, channels, 0.0f);
  std::fill_n(dweight, channels, 0.0f);
  for (int64_t task = 0; task < tasks; ++task, sums += stride) {
    for (int64_t c = 0; c < channels; ++c) dbias[c] += sums[c];
    for (int64_t c = 0; c < channels; ++c) dweight[c] += sums[channels + c];
  }
  for (int64_t c = 0; c < channels; ++c) dweight[c] *= inv_std[c];
}
void InputGradientFactors(int64_t rows, int64_t channels, const float* inv_std,
                          const float* dweight, const float* dbias, float* offset, float* slope) {
  const float inverse_rows = 1.0f / static_cast<float>(std::max<int64_t>(1, rows));
  for (int64_t c = 0; c < channels; ++c) {
    offset[c] = dbias[c] * inverse_rows;
    slope[c] = dweight[c] * inv_std[c] * inverse_rows;
  }
}
void AddGradientSums(Target target, const Normalization& norm, const NormGradientRows& block,
                     float* sums) {
  NINC_DISPATCH(target, AddGradientSums)(norm, block, sums);
}
void InputGradientRows(Target target, const Normalization& norm, const NormGradientRows& block,
                       const float* offset, const float* slope, float* dz) {
  NINC_DISPATCH(target, InputGradientRows)(norm, block, offset, slope, dz);
}

}  // namespace ninc::cpu
#endif
