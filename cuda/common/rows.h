// How a rows×channels matrix is shared among blocks, the device's side in rows.cuh. A block takes a
// tile of columns and a run of rows: neighbouring threads read neighbouring channels, a thread
// keeps its columns' factors or sums in registers from row to row. Everything follows from
// the shape and the arrays' alignment, so that sums are added in the same order on every device.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace ninc::cuda {

// blockIdx.x: which columns, blockIdx.y: which rows.
struct RowSplit {
  int64_t rows, channels;
  int64_t run;         // rows of one block; the last may have fewer
  uint32_t lane_bits;  // 2^lane_bits threads side by side, the others of the block on other rows
  uint32_t vectors;    // whether a thread takes four channels, else one

  static constexpr uint32_t kThreads = 256;
  // A sum's runs: enough blocks for a large device with a few tiles of columns, few enough for
  // their partial sums to cost nothing.
  static constexpr int64_t kMaxSums = 256;
  static constexpr int64_t kMaxRuns = 65535;  // what a grid may have in y
  static constexpr int64_t kRowsPerThread = 8;

  RowSplit() = default;
  RowSplit(int64_t rows, int64_t channels, bool vectors, int64_t max_runs)
      : rows(rows), channels(channels), vectors(vectors) {
    // As many lanes as waste least of the last tile, the widest of these; no fewer than fill a
    // sector of 32 bytes.
    const int64_t columns = vectors ? channels / 4 : channels;
    lane_bits = 5;
    for (uint32_t bits : {4u, 3u}) {
      if (Padded(columns, bits) < Padded(columns, lane_bits)) lane_bits = bits;
    }
    while (lane_bits > 0 && columns <= int64_t{1} << (lane_bits - 1)) --lane_bits;
    const int64_t lines = kThreads >> lane_bits;
    int64_t runs = Ceil(rows, lines * kRowsPerThread);
    if (runs > max_runs) runs = max_runs;
    run = runs == 0 ? lines : Ceil(Ceil(rows, runs), lines) * lines;
  }

  // For adding up the partial sums of another split's runs, rows×channels: many rows side by side,
  // since few blocks have to hide the memory's latency.
  static RowSplit OfPartialSums(int64_t runs, int64_t channels) {
    RowSplit split(runs, channels, false, 1);
    if (split.lane_bits > 3) split.lane_bits = 3;
    return split;
  }

  int64_t tiles() const { return Ceil(vectors ? channels / 4 : channels, int64_t{1} << lane_bits); }
  int64_t runs() const { return Ceil(rows, run); }

 private:
  static int64_t Ceil(int64_t a, int64_t b) { return (a + b - 1) / b; }
  static int64_t Padded(int64_t columns, uint32_t bits) {
    return Ceil(columns, int64_t{1} << bits) << bits;
  }
};

}  // namespace ninc::cuda
