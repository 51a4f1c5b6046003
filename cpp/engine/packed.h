// Weights as the kernels want them: panels [panel][k][vector][lane], zero-padded, never changed once made.
#pragma once
#include <memory>
#include <mutex>
#include <vector>

#include "gru_native/layer.h"
#include "kernels/table.h"
#include "runtime/memory.h"

namespace gru_native {

inline Index divide_up(Index n, Index by) { return (n + by - 1) / by; }
inline Index round_up(Index n, Index to) { return divide_up(n, to) * to; }

// The columns of a product are units in blocks of `lanes`, each block with `gates` vectors; a panel holds 3 or 4
// vectors, so one block of 3 or 4 gates, two of 2, four of 1.
template <class T>
struct PackedMatrix {
  Buffer<T> data;
  Index panels = 0, depth = 0;
  int width = 0, gates = 0;
  int blocks_shift = 0;       // blocks in a panel: 1, 2 or 4, as a power of two
  Index blocks_in_panel() const { return Index(1) << blocks_shift; }
  // The panels of a range of blocks that begins with a panel.
  Index panel_begin(Index block) const { return block >> blocks_shift; }
  Index panel_end(Index block) const { return (block + blocks_in_panel() - 1) >> blocks_shift; }
};

// What a product writes to: rows of blocks with `slots` vectors each, of which it fills gates from `first` on.
template <class T>
Product<T> product_of(const PackedMatrix<T>& m, Index lanes, int slots, int first);

// One direction of one layer.
template <class T>
struct PackedDirection {
  PackedMatrix<T> input, recurrent;
  PackedMatrix<T> second;     // the GRU's candidate with reset before, or the LSTM's projection; else empty
  Buffer<T> bias;             // [block][slot][lane]
};

// The same matrices the other way round, for backward: k runs over gates, columns are inputs or units.
template <class T>
struct TransposedDirection {
  PackedMatrix<T> input, recurrent, second;
};

template <class T>
struct PackedWeights {
  std::vector<PackedDirection<T>> forward;  // [layer * directions + direction]

  // Made when first asked for: inference never needs it.
  const std::vector<TransposedDirection<T>>& transposed() const;

  int lanes = 0;
  Index blocks = 0;           // of hidden units

 private:
  mutable std::mutex mutex_;
  mutable std::vector<TransposedDirection<T>> transposed_;
};

// Where the tensors of one direction lie in the layer's list; -1: not there.
struct WeightIndex {
  int ih = -1, hh = -1, bias_ih = -1, bias_hh = -1, hr = -1;
};

template <class T>
std::shared_ptr<const PackedWeights<T>> pack(const LayerSpec& spec, const std::vector<Weight<T>>& weights,
                                             const std::vector<WeightIndex>& index);

CellKind cell_kind(const LayerSpec& spec);

}  // namespace gru_native
