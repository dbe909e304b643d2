// The schedule of direct convolution: which block of pixels meets which panel of weights, when, and
// on which thread. The arithmetic is a register tile's (tile.cc, split_tile.cc), the layout of the
// weights conv2d_pack's.
//
// For each lattice (conv2d_taps.h): tasks are blocks of pixels × ranges of panels. Inside a task
// the block's pixels stay in L2 from panel to panel. Threads take tasks in any order; every output
// is one sum in one order, whatever the blocks, so the bits depend on neither.
#include "cpu/conv2d/direct/conv2d_direct.h"

#include <algorithm>

#include "base/threads/thread_pool.h"
#include "cpu/conv2d/common/conv2d_rows.h"
#include "cpu/conv2d/direct/conv2d_block.h"
#include "cpu/conv2d/direct/conv2d_pack.h"
#include "cpu/schedule/blocks.h"
#include "cpu/tile/tile.h"

namespace ninc::cpu {
namespace {

void PrepareOutput(const TapLattice& lattice, float* dst, int64_t group, int64_t first,
                   int64_t pixels, float** out) {
  PixelWalk walk(lattice, first);
  for (int64_t m = 0; m < pixels; ++m, walk.Next()) {
    out[m] = DestinationPixel(lattice, walk, dst) + group * lattice.columns;
  }
}

// Pixels that no tap reaches, backwards where the stride is larger than the kernel.
void ZeroLattice(Target target, const TapLattice& lattice, float* dst, int threads) {
  ParallelBlocks(threads, lattice.rows(), BlockRows(target), [&](int64_t first, int64_t end) {
    PixelWalk walk(lattice, first);
    for (int64_t m = first; m < end; ++m, walk.Next()) {
      std::fill_n(DestinationPixel(lattice, walk, dst), lattice.dst.c, 0.0f);
    }
  });
}

// One lattice of one pass, all groups; `packed` is its place in the first.
void RunLattice(Target target, const Conv2dProblem& p, const TapLattice& lattice,
                const TileShape& shape, const float* src, const float* packed, size_t group_size,
                const Epilogue& epilogue, float* dst, const Workspace& workspace) {
  if (lattice.taps() == 0) return ZeroLattice(target, lattice, dst, workspace.threads());
  const Panels panels(lattice.columns, shape);
  const int64_t block = BlockPixels(target, lattice, shape);
  const int64_t blocks = CeilDiv(lattice.rows(), block);
  // Few blocks (small maps, batch 1): split the panels too, until every thread has some tasks.
  const int64_t wanted = 4 * workspace.threads();
  const int64_t splits = std::clamp<int64_t>(
      CeilDiv(wanted, std::max<int64_t>(1, blocks * p.groups)), 1, panels.count());

  ParallelFor(workspace.threads(), blocks * p.groups * splits, [&](int64_t task, int thread) {
    const int64_t split = task % splits;
    const int64_t group = task / splits % p.groups;
    const int64_t first = task / splits / p.groups * block;
    const int64_t pixels = std::min(block, lattice.rows() - first);
    Carver carver(workspace.thread(thread));
    const BlockScratch scratch(target, lattice, panels, carver);
    const ProductRows source = PrepareRows(target, lattice, src, group, first, pixels, scratch);
    PrepareOutput(lattice, dst, group, first, pixels, scratch.out);
    const float* group_packed = packed + static_cast<size_t>(group) * group_size;
    Epilogue group_epilogue = epilogue;
    if (epilogue.bias != nullptr) group_epilogue.bias += group * lattice.columns;
    MultiplyBlock(target, source, panels, panels.count() * split / splits,
                  panels.count() * (split + 1) / splits, group_packed, group_epilogue, scratch.out);
  });
}

}  // namespace

std::string DirectName(const Conv2dPass& conv) {
  const Conv2dProblem& p = conv.problem;
  const TileShape& tile = conv.tile;
  const std::string shape = std::to_string(tile.rows) + "×" + std::to_string(tile.width()) +
                            (tile.split ? " of split bfloat16" : "");
  if (p.IsPointwise()) return "matrix product " + shape;
  const TapLattice lattice = MakeLattice(p, conv.pass, 0);
  if (conv.pass != Pass::kBackwardWeights && SplitsPictures(lattice, tile)) {
    return "direct " + shape;
  }
  const bool merges = MergesTaps(lattice);
  return (merges ? "implicit gemm of rows " : "implicit gemm ") + shape;
}

size_t DirectPackedBytes(const Conv2dPass& conv) {
  const auto groups = static_cast<size_t>(conv.problem.groups);
  return groups * PackedGroupSize(conv) * sizeof(float);
}

WorkspaceSize DirectWorkspace(const Conv2dPass& conv) {
  WorkspaceSize size;
  for (int64_t i = 0; i < LatticeCount(conv.problem, conv.pass); ++i) {
    const TapLattice lattice = MakeLattice(conv.problem, conv.pass, i);
    const Panels panels(lattice.columns, conv.tile);
    size.per_thread =
        std::max(size.per_thread, BytesOf<BlockScratch>(conv.target, lattice, panels));
  }
  return size;
}

void DirectRun(const Conv2dPass& conv, const float* src, const float* packed,
               const Epilogue& epilogue, float* dst, const Workspace& workspace) {
  const Conv2dProblem& p = conv.problem;
  const size_t group_size = PackedGroupSize(conv);
  for (int64_t i = 0; i < LatticeCount(p, conv.pass); ++i) {
    const TapLattice lattice = MakeLattice(p, conv.pass, i);
    RunLattice(conv.target, p, lattice, conv.tile, src, packed, group_size, epilogue, dst,
               workspace);
    packed += PackedSize(lattice, conv.tile);
  }
}

}  // namespace ninc::cpu
