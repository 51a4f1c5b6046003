// A matrix as the kernels read it: panels [panel][k][vector][lane], zero-padded, never changed once made.
#pragma once
#include <vector>

#include "engine/layout.h"
#include "kernels/table.h"
#include "runtime/memory.h"

namespace gru_native {

// The columns of a product are units in blocks of `lanes`, each block with `gates` vectors; a panel holds 3 or 4
// vectors, so one block of 3 or 4 gates, two of 2, four of 1.
template <class T>
struct PackedMatrix {
  Buffer<T> data;
  Index panels = 0, depth = 0;
  int width = 0, gates = 0;
  int blocks_shift = 0;       // blocks in a panel: 1, 2 or 4, as a power of two
#if defined(GRU_NATIVE_COUNT)
  Work work = Work::mac_forward;
  std::vector<unsigned char> needed_columns, needed_k;  // 0: padding
#endif
  Index blocks_in_panel() const { return Index(1) << blocks_shift; }
  // The panels of a range of blocks that begins with a panel.
  Index panel_begin(Index block) const { return block >> blocks_shift; }
  Index panel_end(Index block) const { return (block + blocks_in_panel() - 1) >> blocks_shift; }
};

// What a product writes to: rows of blocks with `slots` vectors each, of which it fills gates from `first` on.
template <class T>
Product<T> product_of(const PackedMatrix<T>& m, Index lanes, int slots, int first);

inline constexpr int panel_width(int gates) { return gates == 3 ? 3 : 4; }

// row(gate, unit): where that row of a torch matrix begins; null: a column of zeros.
template <class T, class RowOf>
PackedMatrix<T> pack_rows(Index units, int gates, Index depth, Index lanes, const RowOf& row) {
  PackedMatrix<T> m;
  m.width = panel_width(gates);
  m.gates = gates;
  m.blocks_shift = gates >= 3 ? 0 : gates == 2 ? 1 : 2;
  m.depth = depth;
  m.panels = divide_up(divide_up(units, lanes), m.blocks_in_panel());
  const Index columns = m.width * lanes;
  m.data = Buffer<T>(m.panels * depth * columns);
  GRU_NATIVE_COUNTING(m.needed_columns.assign(m.panels * columns, 0));
  GRU_NATIVE_COUNTING(m.needed_k.assign(depth, 1));
  for (Index panel = 0; panel < m.panels; ++panel) {
    T* const to = m.data.data() + panel * depth * columns;
    for (int v = 0; v < m.width; ++v)
      for (Index lane = 0; lane < lanes; ++lane) {
        const Index unit = (panel * m.blocks_in_panel() + v / gates) * lanes + lane;
        if (unit >= units) continue;
        const T* const from = row(v % gates, unit);
        if (!from) continue;
        GRU_NATIVE_COUNTING(m.needed_columns[panel * columns + v * lanes + lane] = 1);
        T* const column = to + v * lanes + lane;
        for (Index k = 0; k < depth; ++k) column[k * columns] = from[k];
      }
  }
  return m;
}

// k of the result: the columns of m in storage order (block, gate, lane), padding of the last panel left out.
// Columns of the result: the k of m. `blocks`: of m's columns.
template <class T>
PackedMatrix<T> transpose(const PackedMatrix<T>& m, Index lanes, Index blocks);

}  // namespace gru_native
