// The schedule of the forward and data passes.
//
// A task takes a block of tiles: transforms their pixels, then for one slice of output channels
// after another multiplies all frequencies and transforms the products back, bias and activation
// included. The block is as large as leaves its frequencies and a slice's products in L2, but at
// least kFewestTiles: weights stream through once a block, and they are n²/r² times those of a
// direct convolution. Few blocks (batch 1) are cut into smaller ones where weights are near, and
// shared out by slices too; a thread transforms a block once for all the slices it takes (a block
// transformed once for all threads, in shared memory, lost 5 % of NIN-CIFAR: half of it was then in
// the other core's cache). An output is one sum over channels in one order whatever the blocks, so
// its bits depend on neither them nor the threads.
#include "cpu/conv2d/winograd/winograd.h"

#include <algorithm>

#include "base/carver.h"
#include "base/processors.h"
#include "base/threads/thread_pool.h"
#include "cpu/conv2d/winograd/winograd_product.h"
#include "cpu/conv2d/winograd/winograd_tiles.h"
#include "cpu/conv2d/winograd/winograd_transform.h"
#include "cpu/schedule/blocks.h"

namespace ninc::cpu {
namespace {

using BlockSizes = WinogradBlockSizes;

// With fewer tiles a block takes no longer to multiply than its weights to stream from the
// third-level cache; more than kMostTiles gain nothing.
constexpr int64_t kFewestTiles = 16;
constexpr int64_t kMostTiles = 64;
// Tasks for each thread where a small map is cut up for them: with two, a thread that is late
// leaves one of its own to another.
constexpr int64_t kTasksPerThread = 2;

// The scratch memory of one thread.
struct WinogradScratch {
  WinogradScratch(const TileGrid& grid, const Slices& slices, const BlockSizes& sizes,
                  Carver& carver) {
    block = carver.Take<int64_t>(1);
    pixels = carver.Take(sizes.frequencies * sizes.pixel_stride);
    products = carver.Take(sizes.frequencies * sizes.product_stride);
    zeros = carver.Take(grid.src.c);
    unread = carver.Take(slices.widest());
    out = carver.Take<float*>(sizes.tiles * grid.shape.outputs() * grid.shape.outputs());
  }

  int64_t* block;   // whose pixels are transformed, -1 at first
  float* pixels;    // [frequency][tile][channel]
  float* products;  // [frequency][tile][column of the slice]
  float* zeros;     // [depth]
  float* unread;    // [columns of a slice]
  float** out;      // [tile][m²]
};

// Pixels of tiles [first, first + count) to frequencies.
void TransformBlock(Target target, const TileGrid& grid, const BlockSizes& sizes, const float* src,
                    int64_t first, int64_t count, const WinogradScratch& scratch) {
  const float* pixels[kMaxTilePixels];
  const auto transform = Transforms(target, grid.shape).data;
  for (int64_t t = 0; t < count; ++t) {
    SourcePixels(grid, src, first + t, scratch.zeros, pixels);
    transform(pixels, grid.src.c, scratch.pixels + t * sizes.row, sizes.pixel_stride);
  }
}

// products(f, t, j) = sum over channels c of pixels(f, t, c) * weights(f, c, j)
void MultiplySlice(Target target, const TileGrid& grid, const Slices& slices,
                   const BlockSizes& sizes, int64_t slice, int64_t count, const float* packed,
                   const WinogradScratch& scratch) {
  const ProductKernels& kernels = Products(target);
  const Panels& panels = slices.panels();
  const int64_t width = slices.Width(slice), depth = grid.src.c;
  const float* weights = packed + sizes.frequencies * depth * slices.Column(slice);
  for (int64_t f = 0; f < sizes.frequencies; ++f) {
    for (int64_t panel = slices.Panel(slice); panel < slices.Panel(slice + 1); ++panel) {
      const int64_t column = panels.Column(panel) - slices.Column(slice);
      const int vectors = panels.Vectors(panel);
      const float* const next_weights = weights + depth * panels.Width(panel);
      // Of about as many rows each: a last one of few rows would wait for its own results. Lines of
      // far weights are shared out among them likewise.
      const int64_t calls =
          CeilDiv(count, sizes.far ? kernels.far_rows : kernels.shape.RowsOf(vectors));
      const int64_t lines = CeilDiv(panels.Width(panel), kLineFloats);
      for (int64_t call = 0; call < calls; ++call) {
        const int64_t t = count * call / calls, rows = count * (call + 1) / calls - t;
        const int64_t line = lines * call / calls, fetched = lines * (call + 1) / calls - line;
        const auto product = sizes.far ? kernels.far[rows - 1][vectors - 1][fetched]
                             : t == 0  ? kernels.first[rows - 1][vectors - 1]
                                       : kernels.next[rows - 1][vectors - 1];
        const float* pixels = scratch.pixels + f * sizes.pixel_stride + t * sizes.row;
        product({
            .pixels = pixels,
            .pixels_row = sizes.row,
            .depth = depth,
            .weights = weights,
            .products = scratch.products + f * sizes.product_stride + t * width + column,
            .products_row = width,
            .next_pixels = pixels + rows * sizes.row,
            .far = next_weights + depth * kLineFloats * line,
        });
      }
      weights = next_weights;
    }
  }
}

// A slice's products to outputs; out[t·m² + i] is null for pixels that do not exist.
void StoreSlice(Target target, const TileGrid& grid, const Slices& slices, const BlockSizes& sizes,
                int64_t slice, int64_t count, const float* bias, Activation activation,
                float* const* out, const WinogradScratch& scratch) {
  float* pixels[kMaxTilePixels];
  const auto transform = Transforms(target, grid.shape).outputs;
  const int64_t column = slices.Column(slice);
  const int64_t tile_pixels = grid.shape.outputs() * grid.shape.outputs();
  for (int64_t t = 0; t < count; ++t, out += tile_pixels) {
    for (int64_t i = 0; i < tile_pixels; ++i) {
      pixels[i] = out[i] == nullptr ? scratch.unread : out[i] + column;
    }
    transform(scratch.products + t * slices.Width(slice), sizes.product_stride,
              slices.Columns(slice), bias == nullptr ? nullptr : bias + column, activation, pixels);
  }
}

// MultiplySlice and StoreSlice of few channels, a vector of columns at a time. So many tiles'
// pixels and the vector's weights share the first-level cache.
void RunFewSlice(Target target, const TileGrid& grid, const Slices& slices, const BlockSizes& sizes,
                 int64_t slice, int64_t count, const float* packed, const float* bias,
                 Activation activation, float* const* out, const WinogradScratch& scratch) {
  constexpr int64_t kTiles = 16;
  const ProductKernels& kernels = Products(target);
  const Panels& panels = slices.panels();
  const int64_t depth = grid.src.c, lanes = kernels.shape.lanes;
  const int64_t outputs = grid.shape.outputs() * grid.shape.outputs();
  const auto transform = Transforms(target, grid.shape).outputs;
  const auto run = [&](int64_t first, int64_t tiles, int64_t column, const float* weights,
                       int64_t weights_row) {
    for (int64_t t = first; t < first + tiles; t += kFewTiles) {
      const int64_t together = std::min<int64_t>(kFewTiles, first + tiles - t);
      kernels.few[depth - 1][together - 1]({.pixels = scratch.pixels + t * sizes.row,
                                            .pixels_row = sizes.row,
                                            .pixels_stride = sizes.pixel_stride,
                                            .weights = weights,
                                            .weights_row = weights_row,
                                            .weights_stride = depth * slices.Width(slice),
                                            .frequencies = sizes.frequencies,
                                            .products = scratch.products});
      for (int64_t i = 0; i < together; ++i) {
        float* pixels[kMaxTilePixels];
        float* const* tile_out = out + (t + i) * outputs;
        for (int64_t k = 0; k < outputs; ++k) {
          pixels[k] = tile_out[k] == nullptr ? scratch.unread : tile_out[k] + column;
        }
        transform(scratch.products + i * sizes.frequencies * lanes, lanes,
                  std::min(lanes, grid.dst.c - column), bias == nullptr ? nullptr : bias + column,
                  activation, pixels);
      }
    }
  };
  for (int64_t first = 0; first < count; first += kTiles) {
    const float* weights = packed + sizes.frequencies * depth * slices.Column(slice);
    for (int64_t panel = slices.Panel(slice); panel < slices.Panel(slice + 1); ++panel) {
      for (int64_t v = 0; v < panels.Vectors(panel); ++v) {
        run(first, std::min(kTiles, count - first), panels.Column(panel) + v * lanes,
            weights + v * lanes, panels.Width(panel));
      }
      weights += depth * panels.Width(panel);
    }
  }
}

// How many blocks the tiles are cut into: as few as hold them, but where these and the slices are
// too few for all threads, as many as that takes, of one register tile at least. Weights that
// stream from far away are read once for each block, so there slices alone are shared out.
int64_t BlocksFor(const TileGrid& grid, const Slices& slices, const BlockSizes& sizes,
                  int threads) {
  const int64_t blocks = CeilDiv(grid.count(), sizes.tiles);
  if (sizes.far) return blocks;
  const int64_t wanted = CeilDiv(kTasksPerThread * threads, slices.count());
  return std::max(blocks, std::min(wanted, grid.count() / slices.panels().shape().rows));
}

// A block's pixels are transformed: one slice of its outputs.
void RunSlice(Target target, const TileGrid& grid, const Slices& slices, const BlockSizes& sizes,
              int64_t slice, int64_t count, const float* packed, const float* bias,
              Activation activation, float* const* out, const WinogradScratch& scratch) {
  if (sizes.few) {
    return RunFewSlice(target, grid, slices, sizes, slice, count, packed, bias, activation, out,
                       scratch);
  }
  MultiplySlice(target, grid, slices, sizes, slice, count, packed, scratch);
  StoreSlice(target, grid, slices, sizes, slice, count, bias, activation, out, scratch);
}

}  // namespace

WinogradBlockSizes::WinogradBlockSizes(const TileGrid& grid, const Slices& slices,
                                       int64_t max_tiles)
    : few(grid.src.c <= kFewChannels),
      far(grid.shape.frequencies() * grid.src.c * slices.panels().padded_columns() *
              int64_t{sizeof(float)} >
          SecondLevelCacheBytes()),
      frequencies(grid.shape.frequencies()),
      row(RoundUp(grid.src.c, few ? kFewChannels : kLineFloats)) {
  const TileShape& tile = slices.panels().shape();
  const int64_t rows = tile.rows;
  const int64_t bytes = frequencies * (row + (few ? 0 : slices.widest())) * int64_t{sizeof(float)};
  const int64_t fitting = SecondLevelCacheBytes() * 5 / 8 / bytes;
  tiles = RoundUp(std::clamp(fitting / rows * rows, std::min(kFewestTiles, max_tiles), max_tiles),
                  rows);
  tiles = std::min(tiles, RoundUp(std::max<int64_t>(1, grid.count()), rows));
  // A cache line more than full: a power of two would put all frequencies of a tile into a few
  // sets of the cache.
  pixel_stride = tiles * row + 16;
  product_stride = few ? kFewTiles * tile.lanes : tiles * slices.widest() + 16;
}

std::string WinogradName(Target target, const WinogradShape& shape) {
  const auto square = [](int side) { return std::to_string(side) + "×" + std::to_string(side); };
  const TileShape& tile = Products(target).shape;
  return "winograd F(" + square(shape.outputs()) + ", " + square(shape.kernel) + ") " +
         std::to_string(tile.rows) + "×" + std::to_string(tile.width());
}

int64_t WinogradRunTiles(const Conv2dPass& conv) {
  const WinogradBlocks blocks(conv, kMostTiles);
  return EvenBlock(blocks.grid().count(), blocks.tiles());
}

WorkspaceSize WinogradRunWorkspace(const Conv2dPass& conv) {
  return {.per_thread = WinogradBlocks(conv, kMostTiles).ScratchBytes()};
}

void WinogradRun(const Conv2dPass& conv, const float* src, const float* packed, const float* bias,
                 Activation activation, float* dst, const Workspace& workspace) {
  const Target target = conv.target;
  const TileGrid grid(conv.problem, conv.pass, conv.winograd);
  const Slices slices(grid.dst.c, Products(target).shape);
  const BlockSizes sizes(grid, slices, kMostTiles);
  const int64_t blocks = BlocksFor(grid, slices, sizes, workspace.threads());
  const int64_t tile_pixels = grid.shape.outputs() * grid.shape.outputs();
  const int64_t wanted = 4 * workspace.threads();
  const int64_t splits =
      std::clamp<int64_t>(CeilDiv(wanted, std::max<int64_t>(1, blocks)), 1, slices.count());
  const auto scratch_of = [&](int thread) {
    Carver carver(workspace.thread(thread));
    return WinogradScratch(grid, slices, sizes, carver);
  };
  for (int thread = 0; thread < workspace.threads(); ++thread) *scratch_of(thread).block = -1;

  ParallelFor(workspace.threads(), blocks * splits, [&](int64_t task, int thread) {
    const WinogradScratch scratch = scratch_of(thread);
    const int64_t block = task / splits, split = task % splits;
    // Of as many tiles each as can be: a short last block would leave its thread waiting.
    const int64_t first = grid.count() * block / blocks;
    const int64_t count = grid.count() * (block + 1) / blocks - first;
    if (*scratch.block != block) {
      if (*scratch.block < 0) std::fill_n(scratch.zeros, grid.src.c, 0.0f);
      TransformBlock(target, grid, sizes, src, first, count, scratch);
      *scratch.block = block;
      for (int64_t t = 0; t < count; ++t) {
        OutputPixels<float>(grid, dst, first + t, nullptr, scratch.out + t * tile_pixels);
      }
    }
    for (int64_t slice = slices.count() * split / splits;
         slice < slices.count() * (split + 1) / splits; ++slice) {
      RunSlice(target, grid, slices, sizes, slice, count, packed, bias, activation, scratch.out,
               scratch);
    }
  });
}

WinogradBlocks::WinogradBlocks(const Conv2dPass& conv, int64_t max_tiles)
    : target_(conv.target),
      grid_(conv.problem, conv.pass, conv.winograd),
      slices_(grid_.dst.c, Products(conv.target).shape),
      sizes_(grid_, slices_, max_tiles) {}

size_t WinogradBlocks::ScratchBytes() const {
  return BytesOf<WinogradScratch>(grid_, slices_, sizes_);
}

void WinogradBlocks::Run(const float* x, const float* packed, const float* bias,
                         Activation activation, int64_t first, int64_t count, float* const* out,
                         std::byte* memory) const {
  Carver carver(memory);
  const WinogradScratch scratch(grid_, slices_, sizes_, carver);
  std::fill_n(scratch.zeros, grid_.src.c, 0.0f);
  TransformBlock(target_, grid_, sizes_, x, first, count, scratch);
  for (int64_t slice = 0; slice < slices_.count(); ++slice) {
    RunSlice(target_, grid_, slices_, sizes_, slice, count, packed, bias, activation, out, scratch);
  }
}

}  // namespace ninc::cpu
