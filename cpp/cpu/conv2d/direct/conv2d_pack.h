// Weights laid out for the register tile.
//
// The columns of a product (output channels forward, input channels backward data) are cut into
// panels of as many vectors as the tile is wide. A panel holds its (taps·depth)×width weights one
// after the other in the order the tile reads them, zeros where columns are missing:
//
//     packed: group → lattice → panel → tap → depth → column
//
// For split products a tap's depth is padded to whole steps, each laid out as split_pack.h's right
// side.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/conv2d/common/conv2d_pass.h"
#include "cpu/conv2d/common/conv2d_taps.h"
#include "cpu/schedule/blocks.h"
#include "cpu/tile/tile.h"

namespace ninc::cpu {

// How `columns` are cut into panels: all as wide as the tile, but for a last one of what is left.
class Panels {
 public:
  Panels(int64_t columns, const TileShape& tile)
      : columns_(columns), shape_(tile), lanes_(tile.lanes), widest_(tile.vectors) {
    const int64_t vectors = CeilDiv(columns, lanes_);
    count_ = CeilDiv(vectors, widest_);
    last_ = vectors - (count_ - 1) * widest_;
  }
  int64_t count() const { return count_; }
  const TileShape& shape() const { return shape_; }
  int64_t padded_columns() const { return Column(count_); }
  // First column of a panel; Column(count()) is the padded end.
  int64_t Column(int64_t panel) const {
    if (panel == count_) return count_ == 0 ? 0 : ((count_ - 1) * widest_ + last_) * lanes_;
    return panel * widest_ * lanes_;
  }
  int Vectors(int64_t panel) const {
    return static_cast<int>((Column(panel + 1) - Column(panel)) / lanes_);
  }
  int64_t Width(int64_t panel) const { return Column(panel + 1) - Column(panel); }
  // Columns of a panel that exist.
  int64_t Columns(int64_t panel) const {
    const int64_t end = Column(panel + 1);
    return (end < columns_ ? end : columns_) - Column(panel);
  }
  // Register tiles that cover `rows` rows of panels [first, end).
  int64_t Tiles(int64_t first, int64_t end, int64_t rows) const {
    int64_t tiles = 0;
    for (int64_t panel = first; panel < end; ++panel) {
      tiles += CeilDiv(rows, shape_.RowsOf(Vectors(panel)));
    }
    return tiles;
  }

 private:
  int64_t columns_;
  TileShape shape_;
  int64_t lanes_, widest_;
  int64_t count_ = 0, last_ = 0;
};

// Floats of a lattice of one group, and of all its lattices, which lie one after the other, group
// after group.
size_t PackedSize(const TapLattice& lattice, const TileShape& shape);
size_t PackedGroupSize(const Conv2dPass& conv);

// Fills the packed copy for a pass; see PackWeights in conv2d.h.
void PackPanels(const Conv2dPass& conv, const float* weight, const float* scale, float* packed,
                int threads);

}  // namespace ninc::cpu
