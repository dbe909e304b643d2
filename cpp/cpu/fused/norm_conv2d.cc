// A convolution between batch norms, in training: it normalises what it reads and takes the
// statistics of what it writes, both while they are in cache.
//
// A block of outputs leaves its mean and its squared deviations right after it was computed; blocks
// are cut by the shape alone and joined in their order, so the bits do not depend on the threads. A
// 1×1 layer after a batch norm normalises a block of pixels into scratch memory and multiplies
// that, a depthwise layer the rows that a block reads: what the batch norm gives never exists as a
// whole. One by one, a batch norm reads its
// matrix twice and writes another: with it NIN-CIFAR's training step at batch 128 took 104 ms more
// than without on two cores, and takes 38 ms more so.
//
// Tried and lost: a first layer's weight gradient that makes the batch norm's input gradient
// itself, a tile at a time, in place of a pass that writes it.
#include <algorithm>
#include <optional>
#include <string>

#include "base/carver.h"
#include "base/threads/thread_pool.h"
#include "cpu/compile.h"
#include "cpu/conv2d/common/conv2d_pass.h"
#include "cpu/conv2d/conv2d.h"
#include "cpu/conv2d/depthwise/conv2d_depthwise.h"
#include "cpu/conv2d/direct/conv2d_block.h"
#include "cpu/conv2d/winograd/winograd.h"
#include "cpu/norm/batch_norm.h"
#include "cpu/norm/norm_rows.h"
#include "cpu/schedule/blocks.h"

namespace ninc::cpu {
namespace {

// Winograd's blocks: as in a chain (mlpconv_chain.cc), and fewer tiles where there would be few
// blocks.
constexpr int64_t kMostNormTiles = 32, kFewestNormTiles = 8, kFewestBlocks = 16;
// Blocks that a thread takes in a row, so that what it fetches ahead is its own.
constexpr int64_t kMostInRow = 8, kFewestTasks = 64;

int64_t BlocksInRow(int64_t blocks) {
  return std::clamp<int64_t>(blocks / kFewestTasks, 1, kMostInRow);
}

int64_t BlockTiles(const TileGrid& grid) {
  return std::clamp(CeilDiv(grid.count(), kFewestBlocks), kFewestNormTiles, kMostNormTiles);
}

// Where blocks leave what they have seen of the output.
struct BlockSums {
  BlockSums(Target target, int64_t blocks, int64_t channels, Carver& carver)
      : target(target), channels(channels) {
    partial = carver.Take(blocks * 2 * channels);
    rows = carver.Take<int64_t>(blocks);
    squares = carver.Take(channels);
  }
  void Take(int64_t block, const float* const* out, int64_t count) const {
    float* mean = partial + block * 2 * channels;
    rows[block] = RowStatistics(target, out, count, channels, mean, mean + channels);
  }

  // The same of outputs that lie side by side.
  void Take(int64_t block, const float* out, int64_t count) const {
    float* mean = partial + block * 2 * channels;
    rows[block] = count;
    BlockStatistics(target, out, count, channels, mean, mean + channels);
  }

  Target target;
  int64_t channels;
  float* partial;  // [blocks][mean, squared deviations][channels]
  int64_t* rows;   // [blocks]
  float* squares;  // of all
};

// Winograd's convolution, a block of tiles at a time. Its L2 may hold fewer tiles than a block has:
// then a block takes several turns, since statistics are joined block by block and must not depend
// on the machine.
class TileBlocks {
 public:
  explicit TileBlocks(const Conv2dPass& conv)
      : block_tiles_(BlockTiles(TileGrid(conv.problem, conv.pass, conv.winograd))),
        winograd_(conv, block_tiles_),
        tile_pixels_(conv.winograd.outputs() * conv.winograd.outputs()) {}

  int64_t count() const { return CeilDiv(winograd_.grid().count(), block_tiles_); }
  std::string Name() const {
    return BlockName(std::min(block_tiles_, winograd_.grid().count()), "tile");
  }
  size_t ScratchBytes() const { return BytesOf<Scratch>(*this); }
  void Run(const float* x, const Normalization* /*of 1×1 layers*/, const float* packed,
           const float* bias, float* y, const BlockSums& sums, const Workspace& workspace) const {
    ParallelFor(workspace.threads(), count(), [&](int64_t block, int thread) {
      Carver carver(workspace.thread(thread));
      const auto [out, winograd] = Scratch(*this, carver);
      const TileGrid& grid = winograd_.grid();
      const int64_t first = block * block_tiles_;
      const int64_t tiles = std::min(block_tiles_, grid.count() - first);
      for (int64_t t = 0; t < tiles; ++t) {
        OutputPixels<float>(grid, y, first + t, nullptr, out + t * tile_pixels_);
      }
      const int64_t turn = EvenBlock(tiles, winograd_.tiles());
      for (int64_t t = 0; t < tiles; t += turn) {
        winograd_.Run(x, packed, bias, {}, first + t, std::min(turn, tiles - t),
                      out + t * tile_pixels_, winograd);
      }
      sums.Take(block, out, tiles * tile_pixels_);
    });
  }

 private:
  struct Scratch {
    Scratch(const TileBlocks& blocks, Carver& carver) {
      out = carver.Take<float*>(blocks.block_tiles_ * blocks.tile_pixels_);
      winograd = carver.Take<std::byte>(blocks.winograd_.ScratchBytes());
    }
    float** out;  // [tiles of a block][m²]
    std::byte* winograd;
  };

  int64_t block_tiles_;
  WinogradBlocks winograd_;
  int64_t tile_pixels_;
};

// Direct convolution, a block of pixels at a time.
class PixelBlocks {
 public:
  explicit PixelBlocks(const Conv2dPass& conv)
      : target_(conv.target),
        lattice_(MakeLattice(conv.problem, conv.pass, 0)),
        panels_(lattice_.columns, conv.tile),
        block_pixels_(BlockPixels(conv.target, lattice_, conv.tile)) {}

  int64_t count() const { return CeilDiv(lattice_.rows(), block_pixels_); }
  std::string Name() const { return BlockName(std::min(block_pixels_, lattice_.rows()), "pixel"); }
  size_t ScratchBytes() const { return BytesOf<Scratch>(*this); }
  void Run(const float* x, const Normalization* source, const float* packed, const float* bias,
           float* y, const BlockSums& sums, const Workspace& workspace) const {
    const int64_t in_row = BlocksInRow(count());
    ParallelFor(workspace.threads(), CeilDiv(count(), in_row), [&](int64_t task, int thread) {
      const int64_t end = std::min(count(), (task + 1) * in_row);
      for (int64_t block = task * in_row; block < end; ++block) {
        RunBlock(block, block + 1 < end, x, source, packed, bias, y, sums,
                 workspace.thread<std::byte>(thread));
      }
    });
  }

 private:
  struct Scratch {
    Scratch(const PixelBlocks& blocks, Carver& carver)
        : block(blocks.target_, blocks.lattice_, blocks.panels_, carver) {
      const int64_t rows = blocks.lattice_.taps() == 1 ? blocks.block_pixels_ : 0;
      next = carver.Take<const float*>(rows);
      normal = carver.Take(rows * blocks.lattice_.src.c);
    }
    BlockScratch block;
    const float** next;  // [pixels of a block]: the next block's pixels, of 1×1 layers
    float* normal;       // [pixels of a block][channels]: x normalised, of the same
  };

  int64_t Pixels(int64_t block) const {
    return std::min(block_pixels_, lattice_.rows() - block * block_pixels_);
  }

  // goes_on: the next block is this thread's too.
  void RunBlock(int64_t block, bool goes_on, const float* x, const Normalization* source,
                const float* packed, const float* bias, float* y, const BlockSums& sums,
                std::byte* memory) const {
    Carver carver(memory);
    const auto [scratch, next, normal] = Scratch(*this, carver);
    const int64_t first = block * block_pixels_, pixels = Pixels(block);
    for (int64_t m = 0; m < pixels; ++m) scratch.out[m] = y + (first + m) * lattice_.dst.c;
    ProductRows rows;
    if (source == nullptr) {
      rows = PrepareRows(target_, lattice_, x, 0, first, pixels, scratch);
    } else {
      const int64_t channels = lattice_.src.c;
      NormalizeRows(target_, *source, pixels, channels, x + first * channels, normal);
      for (int64_t m = 0; m < pixels; ++m) scratch.rows[m] = normal + m * channels;
      rows = {scratch.rows, pixels, 1, channels, scratch.halves};
      if (goes_on && Pixels(block + 1) == block_pixels_) {
        for (int64_t m = 0; m < block_pixels_; ++m) {
          next[m] = x + (first + block_pixels_ + m) * channels;
        }
        rows.next = next;
      }
    }
    MultiplyBlock(target_, rows, panels_, 0, panels_.count(), packed, {.bias = bias}, scratch.out);
    sums.Take(block, y + first * lattice_.dst.c, pixels);
  }

  Target target_;
  TapLattice lattice_;
  Panels panels_;
  int64_t block_pixels_;
};

// Depthwise convolution, some rows of a picture's output at a time. A batch norm before it
// normalises the rows that these are made of into scratch memory.
class RowBlocks {
 public:
  explicit RowBlocks(const Conv2dPass& conv) : target_(conv.target), block_(conv, 0) {
    const int64_t height = lattice().h.count;
    const int64_t row = std::max<int64_t>(1, lattice().w.count * lattice().columns);
    block_rows_ = EvenBlock(height, std::max<int64_t>(1, RowSplit::kBlockElements / row));
    in_picture_ = CeilDiv(height, block_rows_);
  }

  int64_t count() const { return lattice().dst.n * in_picture_; }
  std::string Name() const { return BlockName(block_rows_, "row"); }
  size_t ScratchBytes() const { return BytesOf<Scratch>(*this); }
  void Run(const float* x, const Normalization* source, const float* packed, const float* bias,
           float* y, const BlockSums& sums, const Workspace& workspace) const {
    const int64_t in_row = BlocksInRow(count());
    ParallelFor(workspace.threads(), CeilDiv(count(), in_row), [&](int64_t task, int thread) {
      Carver carver(workspace.thread(thread));
      const auto [normal, depthwise] = Scratch(*this, carver);
      block_.Prepare(depthwise);
      const int64_t end = std::min(count(), (task + 1) * in_row);
      for (int64_t block = task * in_row; block < end; ++block) {
        const int64_t n = block / in_picture_, first = block % in_picture_ * block_rows_;
        const Span rows{first, std::min(first + block_rows_, lattice().h.count)};
        const DepthwiseRows from = Source(x, source, n, rows, normal);
        RunBlock(block, from, rows, packed, bias, y, sums, depthwise);
      }
    });
  }

 private:
  struct Scratch {
    Scratch(const RowBlocks& blocks, Carver& carver) {
      const Shape& s = blocks.lattice().src;
      normal = carver.Take(MostSourceRows(blocks.lattice(), blocks.block_rows_) * s.w * s.c);
      depthwise = carver.Take<std::byte>(blocks.block_.ScratchBytes());
    }
    float* normal;  // [rows of x that a block reads][width][channels]
    std::byte* depthwise;
  };

  const TapLattice& lattice() const { return block_.lattice(); }

  // What the rows of picture n read.
  DepthwiseRows Source(const float* x, const Normalization* source, int64_t n, Span rows,
                       float* normal) const {
    const Shape& s = lattice().src;
    const float* const picture = x + n * s.h * s.w * s.c;
    if (source == nullptr) return {picture};
    const Span read = SourceRows(lattice(), rows);
    NormalizeRows(target_, *source, (read.end - read.begin) * s.w, s.c,
                  picture + read.begin * s.w * s.c, normal);
    return {normal, read.begin};
  }

  void RunBlock(int64_t block, const DepthwiseRows& x, Span rows, const float* packed,
                const float* bias, float* y, const BlockSums& sums, std::byte* memory) const {
    const Shape& to = lattice().dst;
    y += (block / in_picture_ * to.h + rows.begin) * to.w * to.c;
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      block_.RunRow(x, packed, bias, {}, i, {0, to.w}, y + (i - rows.begin) * to.w * to.c, to.c,
                    memory);
    }
    sums.Take(block, y, (rows.end - rows.begin) * to.w);
  }

  Target target_;
  DepthwiseBlock block_;
  int64_t block_rows_, in_picture_;
};

// Calls body(blocks), of the algorithm that the problem takes.
template <class Body>
auto WithBlocks(const Conv2dPass& conv, Body body) {
  if (conv.depthwise) return body(RowBlocks(conv));
  return conv.winograd.tile > 0 ? body(TileBlocks(conv)) : body(PixelBlocks(conv));
}

WorkspaceSize ScratchOf(const Conv2dPass& conv) {
  const Conv2dProblem& p = conv.problem;
  return WithBlocks(conv, [&](const auto& blocks) -> WorkspaceSize {
    return {BytesOf<BlockSums>(conv.target, blocks.count(), p.out_channels), blocks.ScratchBytes()};
  });
}

// source: null, or the batch norm that makes the input of a 1×1 or depthwise convolution of x.
void RunBlocks(const Conv2dPass& conv, const float* x, const Normalization* source,
               const float* packed, const float* bias, float* y, const NormStatistics& statistics,
               const Workspace& workspace) {
  const Conv2dProblem& p = conv.problem;
  WithBlocks(conv, [&](const auto& blocks) {
    Carver carver(workspace.shared());
    const BlockSums sums(conv.target, blocks.count(), p.out_channels, carver);
    blocks.Run(x, source, packed, bias, y, sums, workspace);
    JoinStatistics(conv.target, blocks.count(), sums.rows, sums.partial, p.out_channels,
                   statistics.mean, sums.squares, workspace.threads());
    FinishStatistics(p.output().pixels(), p.out_channels, sums.squares, statistics);
  });
}

}  // namespace

Compiled Compile(const step::NormConv2d& step, const CompileContext& context) {
  const Conv2dProblem& p = step.problem;
  if ((p.groups > 1 && !p.IsDepthwise()) || p.output().size() == 0) return std::optional<Kernel>();
  const Conv2dPass conv(context.target, p, Pass::kForward);
  Kernel kernel(ScratchOf(conv), [step, conv](const Run& run) {
    CopyStatistics(step, step.problem.out_channels, run);
    const Normalization source = step.source ? ArraysOf(*step.source, run) : Normalization{};
    const NormStatistics statistics{
        .weight = run.In(step.weight),
        .eps = step.eps,
        .momentum = run.arguments().norm_momentum.value_or(step.momentum),
        .running_mean = run.Out(step.new_mean),
        .running_var = run.Out(step.new_var),
        .mean = run.Out(step.mean),
        .inv_std = run.Out(step.inv_std),
        .scale = run.Out(step.scale)};
    RunBlocks(conv, run.In(step.x), step.source ? &source : nullptr, run.In(step.packed),
              run.In(step.bias), run.Out(step.y), statistics, run.scratch());
  });
  AddConvolution(kernel, 0, conv,
                 WithBlocks(conv, [](const auto& blocks) { return blocks.Name(); }));
  return kernel;
}

}  // namespace ninc::cpu
