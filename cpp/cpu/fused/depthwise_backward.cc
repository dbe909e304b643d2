// The gradients of a depthwise convolution between two batch norms, in one walk over the pictures.
//
// Some rows of a picture at a time: the later batch norm's gradient dz is made of the gradient of
// its result, x of what the earlier one normalises. Both are in the caches while dz and x give the
// sums of dw, and dz gives dx. dx is the gradient of the earlier batch norm's result, and that
// one's sums are taken of it at once. One by one these steps write dz and x to memory and read dz
// three times, x and dx twice: MobileNetV1's training step takes a fifth longer so
// (docs/special-paths.md).
//
// A task is a chunk of the pictures' bands of rows with sums of its own, cut by the shapes alone
// and added in order afterwards: the bits do not depend on the threads.
#include <algorithm>
#include <optional>
#include <string>

#include "base/carver.h"
#include "base/threads/cancel.h"
#include "base/threads/thread_pool.h"
#include "cpu/compile.h"
#include "cpu/conv2d/conv2d.h"
#include "cpu/conv2d/depthwise/conv2d_depthwise.h"
#include "cpu/norm/batch_norm.h"
#include "cpu/norm/norm_rows.h"
#include "cpu/schedule/blocks.h"

namespace ninc::cpu {
namespace {

// A band's x and dz stay in L2.
constexpr int64_t kBandFloats = 48 << 10;
// Each chunk has sums of its own in memory.
constexpr int64_t kMostChunks = 64, kMostSums = 1 << 22;

struct Arrays {
  const float* dy;      // the gradient of the later batch norm's result
  const float* packed;  // for kBackwardData
  NormGradient after, before;
  float* dweight;
  float* dx;  // the gradient of the earlier batch norm's result
};

class DepthwiseWalk {
 public:
  // The two passes of one layer.
  DepthwiseWalk(const Conv2dPass& data, const Conv2dPass& weights)
      : data_(data), weights_(weights) {
    const Conv2dProblem& problem = data.problem;
    const Shape &x = problem.input, y = problem.output();
    const int64_t row = std::max<int64_t>(1, (x.w + y.w) * x.c);
    // Whole strides, so that a band of dx begins where all its lattices do.
    const int64_t most = std::max<int64_t>(1, kBandFloats / row / problem.stride_h);
    band_ = EvenBlock(CeilDiv(x.h, problem.stride_h), most) * problem.stride_h;
    bands_ = CeilDiv(x.h, band_);
    units_ = x.n * bands_;
    const int64_t most_chunks = std::clamp<int64_t>(kMostSums / floats(), 1, kMostChunks);
    chunks_ = std::min(units_, most_chunks);
  }

  std::string Name() const { return BlockName(std::min(band_, problem().input.h), "row"); }
  WorkspaceSize Workspace() const;
  void Run(const Arrays& arrays, const ninc::Workspace& workspace) const;

 private:
  // Rows of a picture.
  struct Band {
    int64_t n;    // which picture
    Span x;       // of x and dx
    Span dy;      // of dy, whose products with x go into dw with this band
    Span around;  // of dy: what dx reads as well
    Span read;    // of x: what dw reads
  };
  struct Sums;
  struct Scratch;

  const Conv2dProblem& problem() const { return data_.problem; }
  int64_t channels() const { return problem().input.c; }
  int64_t floats() const { return weights_.size() + 2 * channels(); }  // of a chunk's sums
  int64_t MostAround() const;

  Band BandOf(int64_t unit) const;
  void RunBand(const Arrays& arrays, const Band& band, const Sums& shared, float* sums,
               const Scratch& scratch) const;
  void RunData(const float* packed, const Band& band, const DepthwiseRows& dz, float* picture,
               std::byte* memory) const;

  Conv2dPass data_;
  DepthwiseWeightSums weights_;
  int64_t band_, bands_;  // rows of x, and how many such bands a picture has
  int64_t units_, chunks_;
};

// What all threads share.
struct DepthwiseWalk::Sums {
  Sums(const DepthwiseWalk& walk, Carver& carver) {
    chunks = carver.Take(walk.chunks_ * walk.floats());
    total = carver.Take(walk.weights_.size());
    factors = carver.Take(2 * walk.channels());
  }
  float* chunks;   // [chunk][taps and two sums of a batch norm][channels]
  float* total;    // [taps][channels]
  float* factors;  // [offset, slope][channels]
};

struct DepthwiseWalk::Scratch {
  Scratch(const DepthwiseWalk& walk, Carver& carver) {
    const Shape &x = walk.problem().input, y = walk.problem().output();
    const int64_t read = MostSourceRows(walk.weights_.lattice(), walk.MostAround());
    dz = carver.Take(walk.MostAround() * y.w * y.c);
    normal = carver.Take(read * x.w * x.c);
    rows = carver.Take<std::byte>(DepthwiseWorkspace(walk.data_).per_thread);
  }
  float* dz;        // [rows of dy around a band][width][channels]
  float* normal;    // [rows of x that dw reads][width][channels]
  std::byte* rows;  // of the data gradient
};

// The most rows of dy around a band.
int64_t DepthwiseWalk::MostAround() const {
  int64_t most = 0;
  for (int64_t band = 0; band < bands_; ++band) {
    const Span around = BandOf(band).around;
    most = std::max(most, around.end - around.begin);
  }
  return most;
}

DepthwiseWalk::Band DepthwiseWalk::BandOf(int64_t unit) const {
  const Conv2dProblem& p = problem();
  const int64_t height = p.out_h(), index = unit % bands_;
  Band band{.n = unit / bands_};
  band.x = {index * band_, std::min((index + 1) * band_, p.input.h)};
  // Of dy each row belongs to one band, those beyond the last row of x to the last.
  const auto row_of = [&](int64_t y) { return std::min(y / p.stride_h, height); };
  band.dy = {row_of(band.x.begin), index + 1 == bands_ ? height : row_of(band.x.end)};
  // Row h of dx reads the rows p of dy with p·stride + r·dilation - padding = h.
  const int64_t reach = (p.kernel_h - 1) * p.dilation_h;
  const int64_t first = std::max<int64_t>(0, band.x.begin + p.padding.top - reach);
  const int64_t last = band.x.end - 1 + p.padding.top;
  band.around = {std::min(band.dy.begin, CeilDiv(first, p.stride_h)),
                 std::max(band.dy.end, std::min(height, last / p.stride_h + 1))};
  band.read = SourceRows(weights_.lattice(), band.dy);
  return band;
}

WorkspaceSize DepthwiseWalk::Workspace() const {
  return {BytesOf<Sums>(*this), BytesOf<Scratch>(*this)};
}

void DepthwiseWalk::Run(const Arrays& arrays, const ninc::Workspace& workspace) const {
  Carver carver(workspace.shared());
  const Sums shared(*this, carver);
  const NormGradient &after = arrays.after, &before = arrays.before;
  InputGradientFactors(problem().output().pixels(), channels(), after.inv_std, after.dweight,
                       after.dbias, shared.factors, shared.factors + channels());
  ParallelFor(workspace.threads(), chunks_, [&](int64_t chunk, int thread) {
    Carver carver(workspace.thread(thread));
    const Scratch scratch(*this, carver);
    float* const sums = shared.chunks + chunk * floats();
    std::fill_n(sums, floats(), 0.0f);
    const int64_t end = units_ * (chunk + 1) / chunks_;
    for (int64_t unit = units_ * chunk / chunks_; unit < end && !IsCancelled(); ++unit) {
      RunBand(arrays, BandOf(unit), shared, sums, scratch);
    }
  });
  weights_.Store(shared.chunks, chunks_, floats(), shared.total, arrays.dweight,
                 workspace.threads());
  StoreGradientSums(chunks_, shared.chunks + weights_.size(), floats(), channels(), before.inv_std,
                    before.dweight, before.dbias);
}

void DepthwiseWalk::RunBand(const Arrays& arrays, const Band& band, const Sums& shared, float* sums,
                            const Scratch& scratch) const {
  const Target target = data_.target;
  const Shape &x = problem().input, y = problem().output();
  const NormGradient &after = arrays.after, &before = arrays.before;
  const int64_t around = (band.n * y.h + band.around.begin) * y.w * y.c;
  InputGradientRows(
      target, after.norm,
      {(band.around.end - band.around.begin) * y.w, y.c, arrays.dy + around, after.z + around},
      shared.factors, shared.factors + y.c, scratch.dz);
  NormalizeRows(target, before.norm, (band.read.end - band.read.begin) * x.w, x.c,
                before.z + (band.n * x.h + band.read.begin) * x.w * x.c, scratch.normal);
  for (int64_t row = band.dy.begin; row < band.dy.end; ++row) {
    weights_.AddRow({scratch.normal, band.read.begin}, row,
                    scratch.dz + (row - band.around.begin) * y.w * y.c, sums);
  }
  RunData(arrays.packed, band, {scratch.dz, band.around.begin},
          arrays.dx + band.n * x.h * x.w * x.c, scratch.rows);
  const int64_t first = (band.n * x.h + band.x.begin) * x.w * x.c;
  AddGradientSums(target, before.norm,
                  {(band.x.end - band.x.begin) * x.w, x.c, arrays.dx + first, before.z + first},
                  sums + weights_.size());
}

// The band's rows of dx, of every lattice. picture: of dx.
void DepthwiseWalk::RunData(const float* packed, const Band& band, const DepthwiseRows& dz,
                            float* picture, std::byte* memory) const {
  for (int64_t index = 0; index < LatticeCount(problem(), Pass::kBackwardData); ++index) {
    const DepthwiseBlock block(data_, index);
    const TapLattice& lattice = block.lattice();
    const TapAxis &h = lattice.h, &w = lattice.w;
    block.Prepare(memory);
    const int64_t end = std::min(h.count, CeilDiv(band.x.end - h.first, h.step));
    for (int64_t i = band.x.begin / h.step; i < end && w.count > 0; ++i) {
      float* const to = picture + ((h.first + i * h.step) * lattice.dst.w + w.first) * channels();
      block.RunRow(dz, packed, nullptr, {}, i, {0, w.count}, to, w.step * channels(), memory);
    }
    packed += lattice.taps() * channels();
  }
}

}  // namespace

Compiled Compile(const step::DepthwiseBackward& step, const CompileContext& context) {
  const Conv2dProblem& p = step.problem;
  if (!p.IsDepthwise() || p.output().size() == 0) return std::optional<Kernel>();
  const Conv2dPass data(context.target, p, Pass::kBackwardData);
  const Conv2dPass weights(context.target, p, Pass::kBackwardWeights);
  const DepthwiseWalk walk(data, weights);
  Kernel kernel(walk.Workspace(), [step, walk](const Run& run) {
    walk.Run({.dy = run.In(step.dy),
              .packed = run.In(step.packed),
              .after = ArraysOf(step.after, run),
              .before = ArraysOf(step.before, run),
              .dweight = run.Out(step.dweight),
              .dx = run.Out(step.dx)},
             run.scratch());
  });
  AddConvolution(kernel, 0, weights, walk.Name());
  AddConvolution(kernel, 0, data, walk.Name());
  return kernel;
}

}  // namespace ninc::cpu
