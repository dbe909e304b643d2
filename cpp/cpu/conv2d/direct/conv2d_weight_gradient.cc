// The schedule of the weight gradient, a matrix product whose sum runs over pixels:
//
//     dW(tap·C + c, k) = sum over pixels m of X_tap(m, c) * dY(m, k)
//
// A task owns a block of the result (panels of output channels × some kernel rows × some input
// channels) over one chunk of the pixels, which it walks in blocks of kBlockPixels: it packs a
// panel's columns of dy once and then adds the block's product to each of the panel's tiles. Each
// block is summed in registers from zero before it is added, which keeps the rounding error of the
// long sum (130,000 pixels for a batch of NIN-CIFAR) near that of a short one.
//
// The number of chunks follows from the shape alone and their sums are added in order, so the bits
// do not depend on the threads. Small results (1×1 layers) have many chunks: then a task holds all
// of the result and x and dy are read once, where cutting the result would read them once for each
// piece (30 % of the limit became 60 % on large batches). Large results have one chunk and are cut.
#include "cpu/conv2d/direct/conv2d_weight_gradient.h"

#include <algorithm>

#include "base/threads/cancel.h"
#include "base/carver.h"
#include "base/threads/thread_pool.h"
#include "cpu/conv2d/common/conv2d_rows.h"
#include "cpu/conv2d/direct/conv2d_pack.h"
#include "cpu/schedule/blocks.h"
#include "cpu/schedule/fetch.h"
#include "cpu/tile/split_tile.h"
#include "cpu/tile/tile.h"

namespace ninc::cpu {
namespace {

constexpr int64_t kBlockPixels = kSumPixels;
// Chunks at most, and bytes of all their sums.
constexpr int64_t kMaxChunks = 32;
constexpr int64_t kChunkSumBytes = 4 << 20;

// The rows of dW: kernel rows × taps in a row × channels of a tap. Merged taps are one tap.
struct GradientRows {
  explicit GradientRows(const TapLattice& lattice)
      : merged(MergesTaps(lattice)),
        kernel_rows(lattice.h.taps),
        row_taps(merged ? 1 : lattice.w.taps),
        channels(SumDepth(lattice)) {}
  int64_t all() const { return kernel_rows * row_taps * channels; }

  bool merged;
  int64_t kernel_rows, row_taps, channels;
};

// How the work is cut into tasks. Every task reads its own columns of dy and its own channels of x,
// for its chunk of pixels: cutting panels reads x again, cutting kernel rows or channels reads dy
// again. Among the grids with tasks enough for every thread, the one that reads least, as long as a
// task's sums stay in L2.
struct TaskGrid {
  TaskGrid(const Conv2dProblem& p, const GradientRows& rows, const Panels& panels, int64_t pixels,
           int threads)
      : blocks(CeilDiv(pixels, kBlockPixels)),
        chunks(Chunks(p, rows, panels, pixels)),
        groups(p.groups),
        panel_splits(panels.count()) {
    constexpr int64_t kSumBytes = 384 << 10;
    const int64_t wanted = CeilDiv(2 * threads, groups * chunks);
    const int64_t tiles = CeilDiv(rows.channels, panels.shape().rows);
    int64_t least = -1;
    for (int64_t cut = 1; cut <= panels.count(); ++cut) {
      const int64_t kernel = std::clamp<int64_t>(CeilDiv(wanted, cut), 1, rows.kernel_rows);
      const int64_t channel = std::clamp<int64_t>(CeilDiv(wanted, cut * kernel), 1, tiles);
      const int64_t sums = rows.all() * panels.padded_columns() * int64_t{sizeof(float)};
      const bool fits = sums / (cut * kernel * channel) <= kSumBytes || cut == panels.count();
      const int64_t reads = cut * p.group_in() + kernel * channel * p.group_out();
      if (!fits || (least >= 0 && reads >= least)) continue;
      least = reads;
      panel_splits = cut;
      kernel_splits = kernel;
      channel_splits = channel;
    }
  }
  // By the shape alone: the bits of the result depend on it.
  static int64_t Chunks(const Conv2dProblem& p, const GradientRows& rows, const Panels& panels,
                        int64_t pixels) {
    const int64_t bytes = p.groups * rows.all() * panels.padded_columns() * int64_t{sizeof(float)};
    return std::clamp<int64_t>(
        std::min(pixels / kChunkPixels, kChunkSumBytes / std::max<int64_t>(1, bytes)), 1,
        kMaxChunks);
  }
  int64_t count() const { return chunks * groups * panel_splits * kernel_splits * channel_splits; }

  int64_t blocks, chunks, groups, panel_splits, kernel_splits = 1, channel_splits = 1;
};

// The sums of all chunks: of each those of dW, group after group, then those of dy's columns.
struct ChunkSums {
  ChunkSums(const GradientRows& rows, const Panels& panels, int64_t groups, int64_t chunks,
            Carver& carver)
      : rows(rows),
        panels(panels),
        bias(groups * rows.all() * panels.padded_columns()),
        stride(bias + groups * panels.padded_columns()),
        all(carver.Take(chunks * stride)) {}
  float* Of(int64_t chunk, int64_t group, int64_t panel) const {
    return all + chunk * stride +
           rows.all() * (group * panels.padded_columns() + panels.Column(panel));
  }
  // One of the chunk's tasks takes them while it packs the columns.
  float* BiasOf(int64_t chunk, int64_t group, int64_t panel) const {
    return all + chunk * stride + bias + group * panels.padded_columns() + panels.Column(panel);
  }

  const GradientRows& rows;
  const Panels& panels;
  int64_t bias, stride;  // floats of a chunk before those of dy, and all
  float* all;
};

struct TaskScratch {
  TaskScratch(Target target, const GradientRows& gradient, const Panels& panels, Carver& carver) {
    const bool split = panels.shape().split;
    rows = carver.Take<const float*>(gradient.kernel_rows * gradient.row_taps * kBlockPixels);
    zeros = carver.Take(gradient.channels);
    dy = carver.Take(kBlockPixels * Tiles(target).shape.width());
    patches = carver.Take(gradient.merged ? kBlockPixels * gradient.all() : 0);
    left = carver.Take<std::byte>(split ? SplitBytes(gradient.channels, kBlockPixels) : 0);
    right = carver.Take<std::byte>(split ? SplitBytes(panels.padded_columns(), kBlockPixels) : 0);
  }

  const float** rows;  // [taps of the task][kBlockPixels]
  float* zeros;        // [channels of a tap]
  float* dy;           // [kBlockPixels][width]
  float* patches;      // [taps of the task][kBlockPixels][channels], where taps are merged
  std::byte* left;     // of a split product: a tap's channels
  std::byte* right;    // the same: dy's columns, panel after panel
};

// One task's share of the work.
struct Share {
  int64_t chunk;
  int64_t block0, block1;  // blocks of pixels
  int64_t group;
  int64_t panel0, panel1;
  int64_t kernel0, kernel1;    // kernel rows
  int64_t channel0, channel1;  // channels of each tap
};

Share ShareOf(const TaskGrid& grid, const GradientRows& rows, const Panels& panels, int64_t task) {
  const int64_t channel = task % grid.channel_splits;
  task /= grid.channel_splits;
  const int64_t kernel = task % grid.kernel_splits;
  task /= grid.kernel_splits;
  const int64_t panel = task % grid.panel_splits;
  task /= grid.panel_splits;
  const int64_t group = task % grid.groups;
  const int64_t chunk = task / grid.groups;
  // Channels are cut at whole tiles.
  const int64_t tile = panels.shape().rows;
  const int64_t tiles = CeilDiv(rows.channels, tile);
  const auto cut = [&](int64_t part) {
    return std::min(tiles * part / grid.channel_splits * tile, rows.channels);
  };
  return {chunk,
          grid.blocks * chunk / grid.chunks,
          grid.blocks * (chunk + 1) / grid.chunks,
          group,
          panels.count() * panel / grid.panel_splits,
          panels.count() * (panel + 1) / grid.panel_splits,
          rows.kernel_rows * kernel / grid.kernel_splits,
          rows.kernel_rows * (kernel + 1) / grid.kernel_splits,
          cut(channel),
          cut(channel + 1)};
}

// Adds one block of pixels to one panel of a task's sums.
void AddBlock(Target target, const Share& share, const ChunkSums& sums, int64_t panel,
              int64_t pixels, const TaskScratch& scratch, bool first, Fetch* fetch) {
  const GradientRows& rows = sums.rows;
  const int64_t tap_sums = rows.channels * sums.panels.Width(panel);
  float* to = sums.Of(share.chunk, share.group, panel) + share.kernel0 * rows.row_taps * tap_sums;
  const int64_t taps = (share.kernel1 - share.kernel0) * rows.row_taps;
  for (int64_t t = 0; t < taps; ++t, to += tap_sums) {
    AddToPanel(Tiles(target), scratch.rows + t * kBlockPixels, {share.channel0, share.channel1},
               pixels, scratch.dy, sums.panels.Vectors(panel), first, to, fetch);
  }
}

// The same by split products, to all of the share's panels.
void AddSplitBlock(const Share& share, const ChunkSums& sums, int64_t pixels,
                   const TaskScratch& scratch, bool first, Fetch* fetch) {
  const GradientRows& rows = sums.rows;
  const Panels& panels = sums.panels;
  const int64_t taps = (share.kernel1 - share.kernel0) * rows.row_taps;
  const int64_t channels = share.channel1 - share.channel0;
  const SplitTiles tiles;
  for (int64_t t = 0; t < taps; ++t) {
    const int64_t row = (share.kernel0 * rows.row_taps + t) * rows.channels + share.channel0;
    SplitLeftColumns(scratch.rows + t * kBlockPixels, share.channel0, channels, pixels,
                     SplitBytes(kSplitRows, pixels), scratch.left);
    for (int64_t panel = share.panel0; panel < share.panel1; ++panel) {
      AddSplitToPanel(scratch.left, channels, pixels,
                      scratch.right + SplitBytes(panels.Column(panel), kBlockPixels),
                      panels.Vectors(panel), first,
                      sums.Of(share.chunk, share.group, panel) + row * panels.Width(panel), fetch);
    }
  }
}

// All of a task's blocks, the sums of dy with them where they are wanted and this is their task.
void SumShare(const Conv2dPass& conv, const TapLattice& lattice, const Share& share,
              const ChunkSums& sums, const float* x, const float* dy, bool wants_bias,
              const TaskScratch& scratch) {
  const Conv2dProblem& p = conv.problem;
  const Panels& panels = sums.panels;
  const bool sums_bias = wants_bias && share.kernel0 == 0 && share.channel0 == 0;
  for (int64_t panel = share.panel0; sums_bias && panel < share.panel1; ++panel) {
    std::fill_n(sums.BiasOf(share.chunk, share.group, panel), panels.Width(panel), 0.0f);
  }
  std::fill_n(scratch.zeros, sums.rows.channels, 0.0f);
  for (int64_t block = share.block0; block < share.block1 && !IsCancelled(); ++block) {
    const bool begins = block == share.block0;
    const int64_t first = block * kBlockPixels;
    const int64_t count = std::min(kBlockPixels, lattice.rows() - first);
    SumRows(lattice, x, scratch.zeros, share.group * lattice.depth, first, count, share.kernel0,
            share.kernel1, kBlockPixels, scratch.patches, scratch.rows);
    Fetch fetch;
    if (block + 1 < share.block1 && p.IsPointwise() && p.groups == 1) {
      const int64_t next = first + kBlockPixels;
      const int64_t next_count = std::min(kBlockPixels, lattice.rows() - next);
      fetch = {{{{x + next * p.input.c, next_count * p.input.c},
                 {dy + next * p.out_channels, next_count * p.out_channels}}},
               panels.Tiles(share.panel0, share.panel1, share.channel1 - share.channel0),
               panels.shape().split ? kAnyLines : kBlockPixels / 2};
    }
    for (int64_t panel = share.panel0; panel < share.panel1; ++panel) {
      const float* gradient =
          dy + first * p.out_channels + share.group * p.group_out() + panels.Column(panel);
      float* const bias = sums_bias ? sums.BiasOf(share.chunk, share.group, panel) : nullptr;
      if (panels.shape().split) {
        SplitRight(gradient, p.out_channels, count, panels.Columns(panel), panels.Vectors(panel),
                   scratch.right + SplitBytes(panels.Column(panel), kBlockPixels), bias);
        continue;
      }
      Tiles(conv.target)
          .pack[panels.Vectors(panel) - 1](gradient, p.out_channels, count, panels.Columns(panel),
                                           scratch.dy, bias);
      AddBlock(conv.target, share, sums, panel, count, scratch, begins, &fetch);
    }
    if (panels.shape().split) AddSplitBlock(share, sums, count, scratch, begins, &fetch);
  }
}

// One panel of a share from the tiles' layout to dweight(k, c, r, s). The sums of `chunks` chunks
// are added in order.
void StorePanel(const Conv2dProblem& p, const Share& share, const ChunkSums& sums, int64_t panel,
                int64_t chunks, float* dweight) {
  const GradientRows& rows = sums.rows;
  const Panels& panels = sums.panels;
  const int64_t window = p.kernel_h * p.kernel_w, depth = p.group_in();
  const int64_t width = panels.Width(panel), columns = panels.Columns(panel);
  const int64_t k0 = share.group * p.group_out() + panels.Column(panel);
  float total[kMaxTileVectors * kMaxLanes];
  for (int64_t t = share.kernel0 * rows.row_taps; t < share.kernel1 * rows.row_taps; ++t) {
    for (int64_t c = share.channel0; c < share.channel1; ++c) {
      const int64_t term = t * rows.channels + c;  // = tap·depth + channel, merged or not
      const float* from = sums.Of(0, share.group, panel) + term * width;
      if (chunks > 1) {
        std::copy_n(from, width, total);
        for (int64_t chunk = 1; chunk < chunks; ++chunk) {
          const float* more = from + chunk * sums.stride;
          for (int64_t j = 0; j < width; ++j) total[j] += more[j];
        }
        from = total;
      }
      float* to = dweight + k0 * depth * window + term % depth * window + term / depth;
      for (int64_t j = 0; j < columns; ++j) to[j * depth * window] = from[j];
    }
  }
}

}  // namespace

void AddToPanel(const TileKernels& kernels, const float* const* rows, Span channels, int64_t pixels,
                const float* right, int vectors, bool first, float* sums, Fetch* fetch) {
  const int64_t width = vectors * kernels.shape.lanes, tile_rows = kernels.shape.RowsOf(vectors);
  for (int64_t c = channels.begin; c < channels.end; c += tile_rows) {
    const int64_t count = std::min(tile_rows, channels.end - c);
    const Fetch::Lines lines = fetch->Take();
    kernels.outer[count - 1][vectors - 1]({.rows = rows,
                                           .row_offset = c,
                                           .pixels = pixels,
                                           .b = right,
                                           .c = sums + c * width,
                                           .first = first,
                                           .fetch = lines.from,
                                           .fetch_lines = lines.lines});
  }
}

void AddSplitToPanel(const std::byte* left, int64_t channels, int64_t pixels,
                     const std::byte* right, int vectors, bool first, float* sums, Fetch* fetch) {
  const int64_t group_bytes = SplitBytes(kSplitRows, pixels);
  for (int64_t c = 0; c < channels; c += 2 * kSplitRows) {
    FetchLines(fetch->Take());
    SplitOuter({.left = left + c / kSplitRows * group_bytes,
                .group_bytes = group_bytes,
                .right = right,
                .steps = SplitSteps(pixels),
                .rows = std::min(2 * kSplitRows, channels - c),
                .vectors = vectors,
                .sums = sums + c * vectors * SplitShape().lanes,
                .first = first});
  }
}

WorkspaceSize BackwardWeightsWorkspace(const Conv2dPass& conv) {
  const Conv2dProblem& p = conv.problem;
  const TapLattice lattice = MakeLattice(p, Pass::kForward, 0);
  const GradientRows rows(lattice);
  const Panels panels(lattice.columns, conv.tile);
  const int64_t chunks = TaskGrid::Chunks(p, rows, panels, lattice.rows());
  return {.shared = BytesOf<ChunkSums>(rows, panels, p.groups, chunks),
          .per_thread = BytesOf<TaskScratch>(conv.target, rows, panels)};
}

void BackwardWeights(const Conv2dPass& conv, const float* x, const float* dy, float* dweight,
                     float* dbias, const Workspace& workspace) {
  const Conv2dProblem& p = conv.problem;
  const TapLattice lattice = MakeLattice(p, conv.pass, 0);
  const GradientRows rows(lattice);
  const Panels panels(lattice.columns, conv.tile);
  if (lattice.rows() == 0) {
    std::fill_n(dweight, p.weight_size(), 0.0f);
    if (dbias != nullptr) std::fill_n(dbias, p.out_channels, 0.0f);
    return;
  }
  const TaskGrid grid(p, rows, panels, lattice.rows(), workspace.threads());
  Carver carver(workspace.shared());
  const ChunkSums sums(rows, panels, p.groups, grid.chunks, carver);
  ParallelFor(workspace.threads(), grid.count(), [&](int64_t task, int thread) {
    const Share share = ShareOf(grid, rows, panels, task);
    Carver carver(workspace.thread(thread));
    SumShare(conv, lattice, share, sums, x, dy, dbias != nullptr,
             TaskScratch(conv.target, rows, panels, carver));
    for (int64_t panel = share.panel0; grid.chunks == 1 && panel < share.panel1; ++panel) {
      StorePanel(p, share, sums, panel, 1, dweight);
    }
  });
  for (int64_t k = 0; dbias != nullptr && k < p.out_channels; ++k) {
    const float* from = sums.BiasOf(0, k / p.group_out(), 0) + k % p.group_out();
    dbias[k] = from[0];
    for (int64_t chunk = 1; chunk < grid.chunks; ++chunk) dbias[k] += from[chunk * sums.stride];
  }
  if (grid.chunks == 1) return;
  const int64_t tile = Tiles(conv.target).shape.rows, tiles = CeilDiv(rows.channels, tile);
  ParallelFor(workspace.threads(), p.groups * panels.count() * tiles, [&](int64_t task, int) {
    const int64_t channel0 = task % tiles * tile;
    const int64_t panel = task / tiles % panels.count();
    const Share share = {.group = task / tiles / panels.count(),
                         .kernel0 = 0,
                         .kernel1 = rows.kernel_rows,
                         .channel0 = channel0,
                         .channel1 = std::min(channel0 + tile, rows.channels)};
    StorePanel(p, share, sums, panel, grid.chunks, dweight);
  });
}

}  // namespace ninc::cpu
