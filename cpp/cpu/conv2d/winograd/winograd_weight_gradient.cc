// The schedule of the weight gradient, which is Winograd's with the roles changed: for each
// frequency a product of x's tiles and dy's, summed over all tiles of the batch, and transformed to
// taps once at the end:
//
//     dw(k, c) = G^T [ f f^T * sum over tiles of (B^T x_c B) * (A dy_k A^T) ] G
//
// A task owns two rows of frequencies of some input × output channels: their sums stay near while
// it walks the tiles in blocks, transforming them to its own frequencies alone. Tasks that own all
// frequencies own few channels, and each transforms tiles that others transform too; two rows, of a
// pair of points or of both ends, share nothing with the rest but the reading of pixels. Blocks
// have a fixed size and are added in order.
//
// A first layer has few channels anyway, and reading its large dy once for each two rows took most
// of its time, and columns of it for each thread are short runs (32 instead of 36 ms at best, two
// threads and batch 128 of NIN-CIFAR on Zen 3). There a task mostly owns all frequencies and up to
// 192 columns, and a chunk of the tiles: a number of chunks that follows from the shape alone,
// whose sums are added in order at the end. More threads than that cut the columns, few tiles are
// one chunk. Other layers go the same way where all their sums are as few. So the bits do not
// depend on the threads either way.
#include <algorithm>
#include <limits>

#include "base/threads/cancel.h"
#include "base/carver.h"
#include "base/processors.h"
#include "base/threads/thread_pool.h"
#include "cpu/conv2d/winograd/winograd.h"
#include "cpu/conv2d/winograd/winograd_product.h"
#include "cpu/conv2d/winograd/winograd_tiles.h"
#include "cpu/conv2d/winograd/winograd_transform.h"
#include "cpu/schedule/blocks.h"

namespace ninc::cpu {
namespace {

constexpr int64_t kMostSums = 4 << 20;  // floats that wait to be transformed to taps
// Chunks of tiles where a task owns all frequencies: enough for several threads, each of so many
// blocks that adding up sums costs nothing beside.
constexpr int64_t kMostChunks = 16, kFewestChunkBlocks = 4;
constexpr int64_t kChannelsInTask = 16;

// The sums of all channels of x and some panels of dy's, at all frequencies:
//
//     sums: frequency → panel → channel → column
//
// A register tile's sums lie together. Panels are taken in rounds, so that wide layers do with
// little memory. Each chunk of tiles has such sums, and after them those of dy itself.
struct Sums {
  Sums(const TileGrid& grid, const TileShape& tile)
      : panels(grid.dst.c, tile), frequencies(grid.shape.frequencies()), channels(grid.src.c) {
    const int64_t fitting = kMostSums / std::max<int64_t>(1, frequencies * channels);
    round = std::max(fitting, kMostGradientColumns) / tile.width();
    round = std::min(round, panels.count());
    blocks = CeilDiv(grid.count(), WinogradSumTiles(grid.shape));
    together = WinogradSumsTogether(grid.shape, channels, grid.dst.c);
    if (together) {
      const int64_t most = std::min(kMostChunks, kMostSums / floats());
      chunks = std::clamp<int64_t>(blocks / kFewestChunkBlocks, 1, std::max<int64_t>(1, most));
    }
  }
  int64_t columns() const {  // of the widest round
    return std::min(round * panels.shape().width(), panels.padded_columns());
  }
  int64_t stride() const { return channels * columns() + kLineFloats; }
  int64_t floats() const { return frequencies * stride() + columns(); }  // of a chunk
  // Where a chunk's sums of dy begin.
  template <class Float>
  Float* Totals(Float* memory, int64_t chunk) const {
    return memory + chunk * floats() + frequencies * stride();
  }

  Panels panels;
  int64_t frequencies, channels;
  int64_t round;   // panels
  int64_t blocks;  // of tiles
  bool together;   // a task owns all frequencies
  int64_t chunks = 1;
};

// How a round's sums are cut into tasks: as many channels and columns as leave their sums room in
// L2 beside a block of tiles, fewer where that would make too few tasks for the threads. Each cut
// of the columns has x transformed once more, each cut of the channels dy, so the cheaper one is
// made.
struct Cut {
  Cut(const Sums& sums, const WinogradShape& shape, int threads)
      : groups(shape.tile / 2),
        channels(RoundUp(EvenBlock(sums.channels, kMostGradientChannels), kLineFloats)) {
    const int64_t width = sums.panels.shape().width();
    const auto column_parts = [&] { return CeilDiv(sums.round, panels); };
    if (sums.chunks > 1 || (sums.together && sums.round >= threads)) {
      together = groups;
      panels = std::clamp<int64_t>(sums.round / CeilDiv(threads, sums.chunks), 1,
                                   kMostGradientColumns / width);
      return;
    }
    const int64_t wanted = threads == 1 ? 1 : 2 * threads;
    const auto channel_parts = [&] { return CeilDiv(sums.channels, channels); };
    const auto halve = [](int64_t count) { return (count + 1) / 2; };
    panels = EvenBlock(sums.round, kMostGradientColumns / width);
    const auto too_large = [&] {
      return 2 * shape.tile * channels * panels * width > FittingSums(sums.panels.shape()) ||
             groups * channel_parts() * column_parts() < wanted;
    };
    const int64_t x_pixels = shape.tile * shape.tile * sums.channels;
    const int64_t dy_pixels = shape.outputs() * shape.outputs() * sums.round * width;
    while (too_large()) {
      const bool may_cut_columns = panels > Slices::kColumns / width;
      const bool may_cut_channels = channels > kLineFloats;
      if (!may_cut_columns && !may_cut_channels) break;
      const bool columns_cost_less = x_pixels * column_parts() < dy_pixels * channel_parts();
      if (may_cut_columns && (columns_cost_less || !may_cut_channels)) {
        panels = halve(panels);
      } else {
        channels = RoundUp(halve(channels), kLineFloats);
      }
    }
  }
  // Floats. Narrow vectors take so long to multiply that sums may come from the third-level cache
  // meanwhile: with 512 KiB of L2 (Zen 3) NIN-CIFAR's conv2 and conv3 gain a third by not being
  // cut.
  static int64_t FittingSums(const TileShape& tile) {
    if (tile.lanes < kMaxLanes) return std::numeric_limits<int64_t>::max();
    return SecondLevelCacheBytes() * 5 / 8 / int64_t{sizeof(float)};
  }
  int64_t groups;        // of two rows of frequencies
  int64_t together = 1;  // of these in a task
  int64_t channels;      // of x in a task
  int64_t panels = 1;
};

struct SumScratch {
  SumScratch(const WinogradShape& shape, const Sums& sums, Carver& carver) {
    const int64_t tiles = WinogradSumTiles(shape);
    const int64_t channels = RoundUp(std::min(sums.channels, kMostGradientChannels), kLineFloats);
    const int64_t columns = std::min(sums.columns(), kMostGradientColumns);
    row = std::max(channels, columns);
    pixels = carver.Take(2 * shape.tile * Stride(tiles, channels));
    gradient = carver.Take(2 * shape.tile * Stride(tiles, columns));
    zeros = carver.Take(row);
  }
  // One frequency to the next: a cache line more than full, see winograd.cc.
  static int64_t Stride(int64_t rows, int64_t row) { return rows * row + kLineFloats; }

  int64_t row;      // floats of a row of either picture, at most
  float* pixels;    // [frequency of the task][tile][channel of the task]
  float* gradient;  // [frequency of the task][tile][column of the task]
  float* zeros;     // [row]
};

// One task's share of the result, and the distances in its scratch memory.
struct Share {
  int64_t first_group, last_group;
  int64_t channel0, channels;
  int64_t first_panel, last_panel;
  int64_t column0, columns;  // that exist
  int64_t width;             // of its panels
  int64_t pixel_stride, gradient_stride;
  float* sums;  // of frequency 0, channel 0 and first_panel
  int64_t sum_stride;
};

// Tiles [first, first + count) of x and dy to the group's frequencies.
void TransformBlock(Target target, const TileGrid& grid, const Share& share, int64_t group,
                    int64_t first, int64_t count, const float* x, const float* dy,
                    const SumScratch& scratch) {
  const float* pixels[kMaxTilePixels];
  const float* gradient[kMaxTilePixels];
  const WinogradTransforms& transforms = Transforms(target, grid.shape);
  for (int64_t t = 0; t < count; ++t) {
    SourcePixels(grid, x + share.channel0, first + t, scratch.zeros, pixels);
    transforms.data_rows[group](pixels, share.channels, scratch.pixels + t * share.channels,
                                share.pixel_stride);
    OutputPixels<const float>(grid, dy + share.column0, first + t, scratch.zeros, gradient);
    transforms.gradient_rows[group](gradient, share.columns, scratch.gradient + t * share.width,
                                    share.gradient_stride);
  }
}

// sums(f, c, k) += sum over the block's tiles t of pixels(f, t, c) * gradient(f, t, k)
void AddBlock(Target target, const TileGrid& grid, const Panels& panels, const Share& share,
              int64_t group, int64_t tiles, bool first, const SumScratch& scratch) {
  const int64_t n = grid.shape.tile;
  const ProductKernels& kernels = Products(target);
  for (int64_t f = 0; f < 2 * n; ++f) {
    // Of the group's two rows: those of a pair of points, or of both ends.
    const int64_t row = group > 0 ? 2 * group - 1 + f / n : f < n ? 0 : n - 1;
    float* sums = share.sums + (row * n + f % n) * share.sum_stride;
    for (int64_t panel = share.first_panel; panel < share.last_panel; ++panel) {
      const int64_t width = panels.Width(panel);
      const int64_t tile_rows = kernels.shape.RowsOf(panels.Vectors(panel));
      for (int64_t c = 0; c < share.channels; c += tile_rows) {
        const int64_t rows = std::min<int64_t>(tile_rows, share.channels - c);
        kernels.sum[rows - 1][panels.Vectors(panel) - 1]({
            .pixels = scratch.pixels + f * share.pixel_stride + c,
            .pixels_row = share.channels,
            .tiles = tiles,
            .gradient =
                scratch.gradient + f * share.gradient_stride + panels.Column(panel) - share.column0,
            .gradient_row = share.width,
            .sums = sums + (share.channel0 + c) * width,
            .sums_row = width,
            .first = first,
        });
      }
      sums += grid.src.c * width;
    }
  }
}

// total(k) += sum over the block's tiles of all their pixels of dy: what the transform has computed
// already, since both of its polynomials' values at 1 are sums of coefficients. A pass over dy of
// its own took a tenth of a first layer's time.
constexpr int64_t kGroupOfOne = 1;
void AddBias(const Share& share, int64_t tiles, const SumScratch& scratch, float* total) {
  const float* sums = scratch.gradient + share.gradient_stride;  // at (1, 1)
  float block[kMostGradientColumns] = {};
  for (int64_t t = 0; t < tiles; ++t, sums += share.width) {
    for (int64_t k = 0; k < share.columns; ++k) block[k] += sums[k];
  }
  for (int64_t k = 0; k < share.columns; ++k) total[k] += block[k];
}

// The chunks' sums, of a round of so many columns, added to the first one's.
void JoinChunks(const Sums& sums, int64_t columns, float* memory, int threads) {
  ParallelFor(threads, sums.frequencies, [&](int64_t frequency, int) {
    float* const total = memory + frequency * sums.stride();
    for (int64_t chunk = 1; chunk < sums.chunks; ++chunk) {
      const float* const more = total + chunk * sums.floats();
      for (int64_t i = 0; i < sums.channels * columns; ++i) total[i] += more[i];
    }
  });
}

// The chunks' sums of dy, of so many columns, to dbias.
void StoreTotals(const Sums& sums, int64_t columns, const float* memory, float* dbias) {
  std::fill_n(dbias, columns, 0.0f);
  for (int64_t chunk = 0; chunk < sums.chunks; ++chunk) {
    const float* const totals = sums.Totals(memory, chunk);
    for (int64_t k = 0; k < columns; ++k) dbias[k] += totals[k];
  }
}

// The sums of channels [first, end) and a panel to dweight(k, c, r, s).
void StoreTaps(Target target, const TileGrid& grid, const Sums& sums, const float* from,
               int64_t panel, int64_t first, int64_t end, float* dweight) {
  const int64_t window = grid.shape.kernel * grid.shape.kernel;
  const auto transform = Transforms(target, grid.shape).weight_gradient;
  alignas(64) float buffer[kMaxTaps][kMaxTileVectors * kMaxLanes];
  float* taps[kMaxTaps];
  for (int64_t t = 0; t < window; ++t) taps[t] = buffer[t];
  for (int64_t c = first; c < end; ++c) {
    transform(from + c * sums.panels.Width(panel), sums.stride(), sums.panels.Columns(panel),
              nullptr, Activation{}, taps);
    float* to = dweight + (sums.panels.Column(panel) * grid.src.c + c) * window;
    for (int64_t k = 0; k < sums.panels.Columns(panel); ++k, to += grid.src.c * window) {
      for (int64_t t = 0; t < window; ++t) to[t] = taps[t][k];
    }
  }
}

}  // namespace

WorkspaceSize WinogradWeightsWorkspace(const Conv2dPass& conv) {
  const TileGrid grid(conv.problem, conv.pass, conv.winograd);
  const Sums sums(grid, Products(conv.target).shape);
  return {.shared = static_cast<size_t>(sums.chunks * sums.floats()) * sizeof(float),
          .per_thread = BytesOf<SumScratch>(grid.shape, sums)};
}

void WinogradBackwardWeights(const Conv2dPass& conv, const float* x, const float* dy,
                             float* dweight, float* dbias, const Workspace& workspace) {
  const Conv2dProblem& p = conv.problem;
  const Target target = conv.target;
  const WinogradShape& shape = conv.winograd;
  const TileGrid grid(p, conv.pass, shape);
  if (grid.count() == 0) {
    std::fill_n(dweight, p.weight_size(), 0.0f);
    if (dbias != nullptr) std::fill_n(dbias, p.out_channels, 0.0f);
    return;
  }
  float* const memory = workspace.shared();
  const Sums sums(grid, Products(target).shape);
  const Panels& panels = sums.panels;
  const Cut cut(sums, shape, workspace.threads());
  const int64_t block = WinogradSumTiles(shape);
  const int64_t channel_blocks = CeilDiv(grid.src.c, cut.channels);
  for (int64_t panel0 = 0; panel0 < panels.count(); panel0 += sums.round) {
    const int64_t panel_end = std::min(panel0 + sums.round, panels.count());
    const auto sums_of = [&](int64_t panel) {
      return memory + (panels.Column(panel) - panels.Column(panel0)) * grid.src.c;
    };
    const int64_t group_blocks = cut.groups / cut.together;
    const int64_t tasks = group_blocks * channel_blocks * CeilDiv(panel_end - panel0, cut.panels);
    ParallelFor(workspace.threads(), sums.chunks * tasks, [&](int64_t index, int thread) {
      const int64_t chunk = index / tasks, task = index % tasks;
      const int64_t first_group = task % group_blocks * cut.together;
      const int64_t channel0 = task / group_blocks % channel_blocks * cut.channels;
      const int64_t first_panel = panel0 + task / group_blocks / channel_blocks * cut.panels;
      const int64_t last_panel = std::min(first_panel + cut.panels, panel_end);
      const int64_t column0 = panels.Column(first_panel);
      const int64_t channels = std::min(cut.channels, grid.src.c - channel0);
      const int64_t width = panels.Column(last_panel) - column0;
      const Share share{
          .first_group = first_group,
          .last_group = first_group + cut.together,
          .channel0 = channel0,
          .channels = channels,
          .first_panel = first_panel,
          .last_panel = last_panel,
          .column0 = column0,
          .columns = std::min(width, grid.dst.c - column0),
          .width = width,
          .pixel_stride = SumScratch::Stride(block, channels),
          .gradient_stride = SumScratch::Stride(block, width),
          .sums = sums_of(first_panel) + chunk * sums.floats(),
          .sum_stride = sums.stride(),
      };
      Carver carver(workspace.thread(thread));
      const SumScratch scratch(shape, sums, carver);
      std::fill_n(scratch.zeros, scratch.row, 0.0f);
      float* const totals = sums.Totals(memory, chunk) + column0 - panels.Column(panel0);
      const int64_t begin = sums.blocks * chunk / sums.chunks * block;
      const int64_t end = std::min(grid.count(), sums.blocks * (chunk + 1) / sums.chunks * block);
      for (int64_t first = begin; first < end && !IsCancelled(); first += block) {
        const int64_t tiles = std::min(block, end - first);
        for (int64_t group = share.first_group; group < share.last_group; ++group) {
          TransformBlock(target, grid, share, group, first, tiles, x, dy, scratch);
          AddBlock(target, grid, panels, share, group, tiles, first == begin, scratch);
          if (dbias != nullptr && channel0 == 0 && group == kGroupOfOne) {
            if (first == begin) std::fill_n(totals, share.columns, 0.0f);
            AddBias(share, tiles, scratch, totals);
          }
        }
      }
    });
    const int64_t columns = panels.Column(panel_end) - panels.Column(panel0);
    if (sums.chunks > 1) JoinChunks(sums, columns, memory, workspace.threads());
    if (dbias != nullptr) {
      const int64_t column0 = panels.Column(panel0);
      StoreTotals(sums, std::min(columns, grid.dst.c - column0), memory, dbias + column0);
    }
    const int64_t runs = CeilDiv(grid.src.c, kChannelsInTask);
    ParallelFor(workspace.threads(), (panel_end - panel0) * runs, [&](int64_t task, int) {
      const int64_t panel = panel0 + task / runs, first = task % runs * kChannelsInTask;
      StoreTaps(target, grid, sums, sums_of(panel), panel, first,
                std::min(first + kChannelsInTask, grid.src.c), dweight);
    });
  }
}

}  // namespace ninc::cpu
