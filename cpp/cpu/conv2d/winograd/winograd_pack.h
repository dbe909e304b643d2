// Weights in the frequency domain, laid out for the register tile.
//
// The columns of a product are cut into panels as everywhere (conv2d_pack.h), and panels are
// gathered in slices: what one block of tiles multiplies before it is transformed back. A block
// then reads a slice from start to end, once:
//
//     packed: slice → frequency → panel → channel → column
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cpu/conv2d/common/conv2d_pass.h"
#include "cpu/conv2d/direct/conv2d_pack.h"

namespace ninc::cpu {

// Slices of kColumns, a multiple of every target's panel: wide enough that a block's pixels are not
// read too often, narrow enough that its products stay in L2 beside them.
class Slices {
 public:
  static constexpr int64_t kColumns = 48;

  Slices(int64_t columns, const TileShape& tile)
      : panels_(columns, tile), columns_(columns), panels_in_slice_(kColumns / tile.width()) {}
  const Panels& panels() const { return panels_; }
  int64_t count() const { return CeilDiv(panels_.count(), panels_in_slice_); }
  // First panel of a slice; Panel(count()) is the end.
  int64_t Panel(int64_t slice) const { return std::min(slice * panels_in_slice_, panels_.count()); }
  int64_t Column(int64_t slice) const { return panels_.Column(Panel(slice)); }
  int64_t Width(int64_t slice) const { return Column(slice + 1) - Column(slice); }
  // Columns of a slice that exist.
  int64_t Columns(int64_t slice) const {
    return std::min(Column(slice + 1), columns_) - Column(slice);
  }
  int64_t widest() const { return std::min(panels_.padded_columns(), kColumns); }

 private:
  Panels panels_;
  int64_t columns_, panels_in_slice_;
};

// For kForward and kBackwardData; see PackWeights in conv2d.h.
size_t WinogradPackedBytes(const Conv2dPass& conv);
void PackWinograd(const Conv2dPass& conv, const float* weight, const float* scale, float* packed,
                  int threads);

}  // namespace ninc::cpu
