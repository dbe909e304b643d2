// The schedule of the weight gradient, which is Winograd's with the roles changed: for each
// frequency a product of x's tiles and dy's, summed over all tiles of the batch, and transformed to
// taps once at the end:
//
//     dw(k, c) = G^T [ f f^T * sum over tiles of (B^T x_c B) * (A dy_k A^T) ] G
//
// A task owns some input channels × a slice of output channels at all frequencies: its sums stay in
// L2 while it walks the tiles in blocks, transforming its own channels of x and dy for each. Other
// tasks transform the same tiles again (a fifth of the time on a 5×5 layer of 96 to 192 channels);
// sharing the transforms would send them through the third-level cache, which costs about as much
// and a barrier for each block. Blocks have a fixed size and are added in order, results are split
// among threads and never tiles: the bits do not depend on the threads.
#include <algorithm>

#include "base/thread_pool.h"
#include "kernels/conv2d_rows.h"
#include "kernels/winograd.h"
#include "kernels/winograd_product.h"
#include "kernels/winograd_tiles.h"

namespace ninc::cpu {
namespace {

constexpr int64_t kMostChannels = 48;  // of x in a task
constexpr int kMaxTaps = 25;

// How input channels are cut: evenly, at whole cache lines, finer where slices alone are too few
// for several threads.
struct ChannelBlocks {
  ChannelBlocks(int64_t channels, int64_t slices, int threads) {
    constexpr int64_t kLine = 16;
    const int64_t wanted = threads == 1 ? 1 : (2 * threads + slices - 1) / slices;
    const int64_t blocks = std::max(wanted, (channels + kMostChannels - 1) / kMostChannels);
    size = ((channels + blocks - 1) / blocks + kLine - 1) / kLine * kLine;
    count = (channels + size - 1) / size;
  }
  int64_t size, count;
};

struct TaskScratch {
  float* pixels;    // [frequency][tile][channel of the task]
  float* gradient;  // [frequency][tile][column of the slice]
  float* sums;      // [frequency][channel][column]
  float* taps;      // [tap][column]
  float* zeros;     // a row of either picture

  // One frequency to the next: a cache line more than full, see winograd.cc.
  static int64_t Stride(int64_t rows, int64_t row) { return rows * row + 16; }
  static int64_t Arrays(const WinogradShape& shape) {
    const int64_t tiles = WinogradSumTiles(shape);
    return Stride(tiles, kMostChannels) + Stride(tiles, Slices::kColumns) +
           Stride(kMostChannels, Slices::kColumns);
  }
  static size_t Bytes(const WinogradShape& shape) {
    return sizeof(float) * static_cast<size_t>(shape.frequencies() * Arrays(shape) +
                                               (kMaxTaps + 1) * Slices::kColumns);
  }
  TaskScratch(const WinogradShape& shape, float* memory) {
    const int64_t tiles = WinogradSumTiles(shape), n = shape.frequencies();
    pixels = memory;
    gradient = pixels + n * Stride(tiles, kMostChannels);
    sums = gradient + n * Stride(tiles, Slices::kColumns);
    taps = sums + n * Stride(kMostChannels, Slices::kColumns);
    zeros = taps + kMaxTaps * Slices::kColumns;
    std::fill_n(zeros, Slices::kColumns, 0.0f);
  }
};
static_assert(kMostChannels <= Slices::kColumns, "both share a row of zeros");

// One task's share of the result, and the distances in its scratch memory.
struct Share {
  int64_t channel0, channels;
  int64_t column0, columns;  // that exist
  int64_t first_panel, last_panel;
  int64_t width;  // of the slice
  int64_t pixel_stride, gradient_stride, sum_stride;
};

// The channels of a tile's pixels, brought closer: two cache lines and more are a stretch too short
// for the processor to see the next one coming.
void FetchPixels(const float* const* pixels, int64_t count, int64_t channels) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t c = 0; c < channels; c += kLineFloats) __builtin_prefetch(pixels[i] + c);
  }
}

// Tiles [first, first + count) of x and dy to frequencies.
void TransformBlock(const TileGrid& grid, const Share& share, int64_t first, int64_t count,
                    const float* x, const float* dy, const TaskScratch& scratch) {
  const float* pixels[kMaxTilePixels];
  const float* gradient[2][kMaxTilePixels];
  const WinogradTransforms& transforms = Transforms(grid.shape);
  const int64_t outputs = grid.shape.outputs() * grid.shape.outputs();
  const auto find = [&](int64_t t) {
    OutputPixels<const float>(grid, dy + share.column0, first + t, scratch.zeros, gradient[t % 2]);
  };
  find(0);
  for (int64_t t = 0; t < count; ++t) {
    if (first + t + 1 < grid.count()) {
      find(t + 1);
      FetchPixels(gradient[(t + 1) % 2], outputs, share.columns);
    }
    SourcePixels(grid, x + share.channel0, first + t, scratch.zeros, pixels);
    transforms.data(pixels, share.channels, scratch.pixels + t * share.channels,
                    share.pixel_stride);
    transforms.gradient(gradient[t % 2], share.columns, scratch.gradient + t * share.width,
                        share.gradient_stride);
  }
}

// sums(f, c, k) += sum over the block's tiles t of pixels(f, t, c) * gradient(f, t, k)
void AddBlock(int64_t frequencies, const Panels& panels, const Share& share, int64_t tiles,
              bool first, const TaskScratch& scratch) {
  const ProductKernels& kernels = Products();
  for (int64_t f = 0; f < frequencies; ++f) {
    for (int64_t panel = share.first_panel; panel < share.last_panel; ++panel) {
      const int64_t column = panels.Column(panel) - share.column0;
      const int64_t tile_rows = kernels.shape.RowsOf(panels.Vectors(panel));
      for (int64_t c = 0; c < share.channels; c += tile_rows) {
        const int64_t rows = std::min<int64_t>(tile_rows, share.channels - c);
        kernels.sum[rows - 1][panels.Vectors(panel) - 1]({
            .pixels = scratch.pixels + f * share.pixel_stride + c,
            .pixels_row = share.channels,
            .tiles = tiles,
            .gradient = scratch.gradient + f * share.gradient_stride + column,
            .gradient_row = share.width,
            .sums = scratch.sums + f * share.sum_stride + c * share.width + column,
            .sums_row = share.width,
            .first = first,
        });
      }
    }
  }
}

// total(k) += sum over the block's tiles of all their pixels of dy: what the transform has computed
// already, since both of its polynomials' values at 1 are sums of coefficients. A pass over dy of
// its own took a tenth of a first layer's time.
void AddBias(const TileGrid& grid, const Share& share, int64_t tiles, const TaskScratch& scratch,
             float* total) {
  const int64_t at_one = grid.shape.tile + 1;
  const float* sums = scratch.gradient + at_one * share.gradient_stride;
  float block[Slices::kColumns] = {};
  for (int64_t t = 0; t < tiles; ++t, sums += share.width) {
    for (int64_t k = 0; k < share.columns; ++k) block[k] += sums[k];
  }
  for (int64_t k = 0; k < share.columns; ++k) total[k] += block[k];
}

// A task's sums to dweight(k, c, r, s).
void StoreTaps(const TileGrid& grid, const Share& share, const TaskScratch& scratch,
               float* dweight) {
  const int64_t window = grid.shape.kernel * grid.shape.kernel;
  const auto transform = Transforms(grid.shape).weight_gradient;
  float* taps[kMaxTaps];
  for (int64_t t = 0; t < window; ++t) taps[t] = scratch.taps + t * Slices::kColumns;
  for (int64_t c = 0; c < share.channels; ++c) {
    transform(scratch.sums + c * share.width, share.sum_stride, share.columns, nullptr,
              Activation{}, taps);
    float* to = dweight + (share.column0 * grid.src.c + share.channel0 + c) * window;
    for (int64_t k = 0; k < share.columns; ++k, to += grid.src.c * window) {
      for (int64_t t = 0; t < window; ++t) to[t] = taps[t][k];
    }
  }
}

}  // namespace

WorkspaceSize WinogradWeightsWorkspace(const WinogradShape& shape) {
  return {.per_thread = TaskScratch::Bytes(shape)};
}

void WinogradBackwardWeights(const Conv2dProblem& p, const WinogradShape& shape, const float* x,
                             const float* dy, float* dweight, float* dbias,
                             const Workspace& workspace) {
  const TileGrid grid(p, Pass::kForward, shape);
  if (dbias != nullptr) std::fill_n(dbias, p.out_channels, 0.0f);
  if (grid.count() == 0) {
    std::fill_n(dweight, p.weight_size(), 0.0f);
    return;
  }
  const Slices slices(grid.dst.c, Products().shape);
  const ChannelBlocks blocks(grid.src.c, slices.count(), workspace.threads());
  const int64_t block = WinogradSumTiles(shape);
  ParallelFor(workspace.threads(), slices.count() * blocks.count, [&](int64_t task, int thread) {
    const int64_t slice = task / blocks.count, channel0 = task % blocks.count * blocks.size;
    const int64_t channels = std::min(blocks.size, grid.src.c - channel0);
    const Share share{
        .channel0 = channel0,
        .channels = channels,
        .column0 = slices.Column(slice),
        .columns = slices.Columns(slice),
        .first_panel = slices.Panel(slice),
        .last_panel = slices.Panel(slice + 1),
        .width = slices.Width(slice),
        .pixel_stride = TaskScratch::Stride(block, channels),
        .gradient_stride = TaskScratch::Stride(block, slices.Width(slice)),
        .sum_stride = TaskScratch::Stride(channels, slices.Width(slice)),
    };
    const TaskScratch scratch(shape, workspace.thread(thread));
    for (int64_t first = 0; first < grid.count(); first += block) {
      const int64_t tiles = std::min(block, grid.count() - first);
      TransformBlock(grid, share, first, tiles, x, dy, scratch);
      AddBlock(shape.frequencies(), slices.panels(), share, tiles, first == 0, scratch);
      if (dbias != nullptr && channel0 == 0) {
        AddBias(grid, share, tiles, scratch, dbias + share.column0);
      }
    }
    StoreTaps(grid, share, scratch, dweight);
  });
}

}  // namespace ninc::cpu
