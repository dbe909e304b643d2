// The schedule of the weight gradient, a matrix product whose sum runs over pixels:
//
//     dW(tap·C + c, k) = sum over pixels m of X_tap(m, c) * dY(m, k)
//
// A task owns a block of the result (panels of output channels × some kernel rows × some input
// channels) and walks all pixels in blocks of kBlockPixels: it packs a panel's columns of dy once
// and then adds the block's product to each of the panel's tiles. Results are split among threads,
// never pixels, so there are no partial sums to merge and the bits do not depend on the threads.
// Each block of pixels is summed in registers from zero before it is added, which keeps the
// rounding error of the long sum (30,000 pixels for a batch of NIN-CIFAR) near that of a short one.
#include "kernels/conv2d_weights.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "kernels/conv2d_depthwise.h"
#include "kernels/conv2d_pack.h"
#include "kernels/conv2d_rows.h"
#include "kernels/tile.h"

namespace ninc::cpu {
namespace {

constexpr int64_t kBlockPixels = 128;

// The rows of dW: kernel rows × taps in a row × channels of a tap. With patches all taps of all
// kernel rows are one tap of taps·depth channels.
struct GradientRows {
  explicit GradientRows(const TapLattice& lattice) : patches(UsesPatches(lattice)) {
    kernel_rows = patches ? 1 : lattice.h.taps;
    row_taps = patches ? 1 : lattice.w.taps;
    channels = patches ? lattice.taps() * lattice.depth : lattice.depth;
  }
  int64_t all() const { return kernel_rows * row_taps * channels; }

  bool patches;
  int64_t kernel_rows, row_taps, channels;
};

// How the result is cut into tasks. Every task reads its own columns of dy and its own channels of
// x, for all pixels: cutting panels reads x again, cutting kernel rows or channels reads dy again.
// Among the grids with tasks enough for every thread, the one that reads least, as long as a task's
// sums stay in L2.
struct TaskGrid {
  TaskGrid(const Conv2dProblem& p, const GradientRows& rows, const Panels& panels, int threads)
      : groups(p.groups), panel_splits(panels.count()) {
    constexpr int64_t kSumBytes = 384 << 10;
    const int64_t wanted = (2 * threads + groups - 1) / groups;
    const int64_t tiles = (rows.channels + Tiles().shape.rows - 1) / Tiles().shape.rows;
    int64_t least = -1;
    for (int64_t cut = 1; cut <= panels.count(); ++cut) {
      const int64_t kernel = std::clamp<int64_t>(Ceil(wanted, cut), 1, rows.kernel_rows);
      const int64_t channel = std::clamp<int64_t>(Ceil(wanted, cut * kernel), 1, tiles);
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
  int64_t count() const { return groups * panel_splits * kernel_splits * channel_splits; }

  int64_t groups, panel_splits, kernel_splits = 1, channel_splits = 1;

 private:
  static int64_t Ceil(int64_t a, int64_t b) { return (a + b - 1) / b; }
};

struct TaskScratch {
  const float** rows;  // [taps of the task][kBlockPixels]
  float* zeros;        // [depth]
  float* dy;           // [kBlockPixels][width]
  float* patches;      // [kBlockPixels][taps·depth], where UsesPatches

  static size_t Bytes(const TapLattice& lattice, const GradientRows& rows) {
    return Carver::Bytes<float*>(rows.kernel_rows * rows.row_taps * kBlockPixels) +
           Carver::Bytes<float>(lattice.depth) +
           Carver::Bytes<float>(kBlockPixels * Tiles().shape.width()) +
           (rows.patches ? Carver::Bytes<float>(kBlockPixels * rows.channels) : 0);
  }
  TaskScratch(const TapLattice& lattice, const GradientRows& gradient, std::byte* memory) {
    Carver carver(memory);
    rows = carver.Take<const float*>(gradient.kernel_rows * gradient.row_taps * kBlockPixels);
    zeros = carver.Take<float>(lattice.depth);
    dy = carver.Take<float>(kBlockPixels * Tiles().shape.width());
    patches = carver.Take<float>(gradient.patches ? kBlockPixels * gradient.channels : 0);
    std::fill_n(zeros, lattice.depth, 0.0f);
  }
};

// One task's share of the result.
struct Share {
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
  const int64_t group = task / grid.panel_splits;
  // Channels are cut at whole tiles.
  const int64_t tile = Tiles().shape.rows;
  const int64_t tiles = (rows.channels + tile - 1) / tile;
  const auto cut = [&](int64_t part) {
    return std::min(tiles * part / grid.channel_splits * tile, rows.channels);
  };
  return {group,
          panels.count() * panel / grid.panel_splits,
          panels.count() * (panel + 1) / grid.panel_splits,
          rows.kernel_rows * kernel / grid.kernel_splits,
          rows.kernel_rows * (kernel + 1) / grid.kernel_splits,
          cut(channel),
          cut(channel + 1)};
}

// out(m, j) = dy(first + m, column + j), zeros behind the existing columns.
void PackGradient(const float* dy, int64_t stride, int64_t column, int64_t columns, int64_t width,
                  int64_t first, int64_t pixels, float* out) {
  for (int64_t m = 0; m < pixels; ++m, out += width) {
    const float* row = dy + (first + m) * stride + column;
    std::copy_n(row, columns, out);
    std::fill_n(out + columns, width - columns, 0.0f);
  }
}

// Adds one block of pixels to one panel of a task's sums.
void AddBlock(const Share& share, const GradientRows& rows, int vectors, int64_t pixels,
              const TaskScratch& scratch, bool first, float* sums) {
  const TileKernels& kernels = Tiles();
  const int64_t width = vectors * kernels.shape.lanes;
  const int64_t taps = (share.kernel1 - share.kernel0) * rows.row_taps;
  for (int64_t t = 0; t < taps; ++t) {
    float* tap_sums = sums + (share.kernel0 * rows.row_taps + t) * rows.channels * width;
    for (int64_t c = share.channel0; c < share.channel1; c += kernels.shape.rows) {
      const int64_t count = std::min<int64_t>(kernels.shape.rows, share.channel1 - c);
      kernels.outer[count - 1][vectors - 1]({.rows = scratch.rows + t * kBlockPixels,
                                             .row_offset = c,
                                             .pixels = pixels,
                                             .b = scratch.dy,
                                             .c = tap_sums + c * width,
                                             .first = first});
    }
  }
}

// One panel from the tiles' layout to dweight(k, c, r, s).
void StorePanel(const Conv2dProblem& p, const Share& share, const GradientRows& rows,
                const Panels& panels, int64_t panel, const float* sums, float* dweight) {
  const int64_t window = p.kernel_h * p.kernel_w, depth = p.group_in();
  const int64_t width = panels.Width(panel);
  const int64_t k0 = share.group * p.group_out() + panels.Column(panel);
  for (int64_t t = share.kernel0 * rows.row_taps; t < share.kernel1 * rows.row_taps; ++t) {
    for (int64_t c = share.channel0; c < share.channel1; ++c) {
      const int64_t term = t * rows.channels + c;  // = tap·depth + channel, with patches too
      const float* from = sums + term * width;
      float* to = dweight + k0 * depth * window + term % depth * window + term / depth;
      for (int64_t j = 0; j < panels.Columns(panel); ++j) to[j * depth * window] = from[j];
    }
  }
}

}  // namespace

WorkspaceSize BackwardWeightsWorkspace(const Conv2dProblem& p) {
  if (IsDepthwise(p)) return DepthwiseWorkspace(p, Pass::kBackwardWeights);
  const TapLattice lattice = MakeLattice(p, Pass::kForward, 0);
  const GradientRows rows(lattice);
  const Panels panels(lattice.columns, Tiles().shape);
  return {.shared = Carver::Bytes<float>(p.groups * rows.all() * panels.padded_columns()),
          .per_thread = TaskScratch::Bytes(lattice, rows)};
}

void BackwardWeights(const Conv2dProblem& p, const float* x, const float* dy, float* dweight,
                     const Workspace& workspace) {
  const TapLattice lattice = MakeLattice(p, Pass::kForward, 0);
  const GradientRows rows(lattice);
  const Panels panels(lattice.columns, Tiles().shape);
  const int64_t pixels = lattice.rows();
  if (pixels == 0) {
    std::fill_n(dweight, p.weight_size(), 0.0f);
    return;
  }
  const TaskGrid grid(p, rows, panels, workspace.threads());
  ParallelFor(workspace.threads(), grid.count(), [&](int64_t task, int thread) {
    const Share share = ShareOf(grid, rows, panels, task);
    const TaskScratch scratch(lattice, rows, workspace.thread<std::byte>(thread));
    const auto sums = [&](int64_t panel) {
      return workspace.shared() +
             rows.all() * (share.group * panels.padded_columns() + panels.Column(panel));
    };
    for (int64_t first = 0; first < pixels; first += kBlockPixels) {
      const int64_t count = std::min(kBlockPixels, pixels - first);
      if (rows.patches) {
        GatherPatches(lattice, x, share.group * lattice.depth, first, count, scratch.patches);
        for (int64_t m = 0; m < count; ++m) scratch.rows[m] = scratch.patches + m * rows.channels;
      } else {
        TapRows(lattice, x, scratch.zeros, share.group * lattice.depth, first, count, share.kernel0,
                share.kernel1, kBlockPixels, scratch.rows);
      }
      for (int64_t panel = share.panel0; panel < share.panel1; ++panel) {
        PackGradient(dy, p.out_channels, share.group * p.group_out() + panels.Column(panel),
                     panels.Columns(panel), panels.Width(panel), first, count, scratch.dy);
        AddBlock(share, rows, panels.Vectors(panel), count, scratch, first == 0, sums(panel));
      }
    }
    for (int64_t panel = share.panel0; panel < share.panel1; ++panel) {
      StorePanel(p, share, rows, panels, panel, sums(panel), dweight);
    }
  });
}

}  // namespace ninc::cpu
