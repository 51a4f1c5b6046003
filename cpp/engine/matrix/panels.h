// A matrix as the kernels read it: panels [panel][k][vector][lane], zero-padded, never changed once made.
#pragma once
#include <algorithm>
#include <vector>

#include "engine/shares.h"
#include "engine/threads.h"
#include "kernels/table.h"
#include "runtime/interruption.h"
#include "runtime/memory.h"
#include "runtime/team.h"

namespace gru_native {

// The columns of a product are units in blocks of `lanes`, each block with `gates` vectors; a panel holds 3 or 4
// vectors, so one block of 3 or 4 gates, two of 2, four of 1. Of columns that are no cell's it is as narrow as they
// are: see empty_columns.
template <class T>
struct PackedMatrix {
  Buffer<T> data;
  Index panels = 0, depth = 0;
  int width = 0, gates = 0;
  Index columns_in_panel = 0;
  int blocks_shift = 0;       // blocks in a panel: 1, 2 or 4, as a power of two
  // Weights of few bits (engine/matrix/quantization.h): `data` then holds [panel][group of k][vector][lane].
  QuantizedWeights quantized{};
  Buffer<float> scale;
  std::vector<std::int32_t> offset;
#if defined(GRU_NATIVE_COUNT)
  Work work = Work::mac_forward;
  std::vector<unsigned char> needed_columns, needed_k;  // 0: padding
#endif
  Index columns() const { return panels * columns_in_panel; }
  Index blocks_in_panel() const { return Index(1) << blocks_shift; }
  // The panels of a range of blocks that begins with a panel.
  Index panel_begin(Index block) const { return block >> blocks_shift; }
  Index panel_end(Index block) const { return (block + blocks_in_panel() - 1) >> blocks_shift; }
};

// The work of writing a panel of it (runtime/interruption.h).
template <class T>
double macs_of_panel_copy(const PackedMatrix<T>& m) {
  return macs_of_copy * static_cast<double>(m.columns_in_panel) * static_cast<double>(m.depth);
}

// What a product writes to: rows of blocks with `slots` vectors each, of which it fills gates from `first` on.
template <class T>
Product<T> product_of(const PackedMatrix<T>& m, Index lanes, int slots, int first);

// The same product without its first n panels. of_few_bits: where its weights then are said to lie, if they are of few
// bits; it stays as long as p is used.
template <class T>
void skip_panels(Product<T>& p, Index n, QuantizedWeights& of_few_bits);

inline constexpr int panel_width(int gates) { return gates == 3 ? 3 : 4; }

// The shape of a packed matrix, without its data; and with zeros.
template <class T>
PackedMatrix<T> empty_shape(Index units, int gates, Index depth, Index lanes);
template <class T>
PackedMatrix<T> empty_panels(Index units, int gates, Index depth, Index lanes);

// Columns that are no gates, in the panels with the least padding. Each panel is one block, whose vectors count as its
// gates: where columns are few, most of a panel of four vectors would be padding.
template <class T>
PackedMatrix<T> empty_columns(Index columns, Index depth, Index lanes);
// How many these then are, with what pads them.
Index dense_columns(Index columns, Index lanes);

// The kernels' (kernels/turn.h).
template <class T>
void turn(const T* const* rows, Index depth, T* to, Index stride);
template <class T>
bool all_finite(const T* a, Index n);

inline constexpr int most_lanes = 16;

// f(panel) for all of them, shared out if these copies of numbers are many. f must throw nothing.
template <class F>
void each_panel(Index panels, Index numbers, const F& f) {
  TeamLease team(useful_threads_to_copy(numbers));
  const double macs_of_panel =
      panels == 0 ? 0 : macs_of_copy * static_cast<double>(numbers) / static_cast<double>(panels);
  team.run_shares([&](int rank, int members) {
    const Share mine = share_of(panels, 1, rank, members);
    Progress progress;
    for (Index panel = mine.begin; panel < mine.end; ++panel) f(panel), progress.add(macs_of_panel);
  });
}

// The same of numbers that lie as they did.
template <class T>
void copy_shared(const T* from, Index numbers, T* to) {
  constexpr Index at_once = 16 * 1024;
  each_panel(divide_up(numbers, at_once), numbers, [&](Index i) {
    std::copy_n(from + i * at_once, std::min(at_once, numbers - i * at_once), to + i * at_once);
  });
}

// A range of k.
struct Depths {
  Index first, count;
};

// row(gate, unit): where that row of a torch matrix begins, of which only those k are filled; null: it has none.
// Whether all that it has filled is finite.
template <class T, class RowOf>
bool fill_panel(PackedMatrix<T>& m, Index panel, Index units, Index lanes, const RowOf& row, Depths k_of_rows) {
  constexpr Index steps = 512;  // of k at once: the rows of a vector fit the first cache, what is written the second
  bool finite = true;
  const Index columns = m.width * lanes;
  const Index first = k_of_rows.first, last = first + k_of_rows.count;
  const T* rows[4][most_lanes] = {};
  bool has_any[4] = {};
  for (int v = 0; v < m.width; ++v)
    for (Index lane = 0; lane < lanes; ++lane) {
      const Index unit = (panel * m.blocks_in_panel() + v / m.gates) * lanes + lane;
      if (unit >= units) continue;
      rows[v][lane] = row(v % m.gates, unit);
      if (!rows[v][lane]) continue;
      has_any[v] = true;
      GRU_NATIVE_COUNTING(m.needed_columns[panel * columns + v * lanes + lane] = 1);
    }
  T* const to = m.data.data() + panel * m.depth * columns;
  for (Index begin = first; begin < last; begin += steps) {
    const Index count = std::min(steps, last - begin);
    for (int v = 0; v < m.width; ++v) {
      if (!has_any[v]) continue;
      // Each row as one run: that also brings it into the cache.
      for (Index lane = 0; lane < lanes; ++lane)
        if (rows[v][lane]) finite &= all_finite(rows[v][lane], count);
      turn<T>(rows[v], count, to + begin * columns + v * lanes, columns);
      for (Index lane = 0; lane < lanes; ++lane)
        if (rows[v][lane]) rows[v][lane] += count;
    }
  }
  return finite;
}

template <class T, class RowOf>
bool fill_panel(PackedMatrix<T>& m, Index panel, Index units, Index lanes, const RowOf& row) {
  return fill_panel(m, panel, units, lanes, row, {0, m.depth});
}
// All panels, by a team of its own if that is worth it.
template <class T, class RowOf>
void fill_panels(PackedMatrix<T>& m, Index units, Index lanes, const RowOf& row, Depths k_of_rows) {
  each_panel(m.panels, m.columns() * k_of_rows.count,
             [&](Index panel) { fill_panel(m, panel, units, lanes, row, k_of_rows); });
}
template <class T, class RowOf>
void fill_panels(PackedMatrix<T>& m, Index units, Index lanes, const RowOf& row) {
  fill_panels(m, units, lanes, row, {0, m.depth});
}

// row(column): where the row of that column begins.
template <class T, class RowOf>
void fill_panel_of_columns(PackedMatrix<T>& m, Index panel, Index columns, Index lanes, const RowOf& row) {
  fill_panel(m, panel, m.panels * lanes, lanes, [&](int vector, Index unit) {
    const Index column = (unit / lanes * m.width + vector) * lanes + unit % lanes;
    return column < columns ? row(column) : nullptr;
  });
}
template <class T, class RowOf>
void fill_columns(PackedMatrix<T>& m, Index columns, Index lanes, const RowOf& row) {
  each_panel(m.panels, m.columns() * m.depth,
             [&](Index panel) { fill_panel_of_columns(m, panel, columns, lanes, row); });
}

// The other way round: row(gate, unit) is where that row goes.
template <class T, class RowOf>
void unpack_panels(const PackedMatrix<T>& m, Index units, Index lanes, const RowOf& row) {
  const Index columns = m.width * lanes;
  for (Index panel = 0; panel < m.panels; ++panel)
    for (int v = 0; v < m.width; ++v)
      for (Index lane = 0; lane < lanes; ++lane) {
        const Index unit = (panel * m.blocks_in_panel() + v / m.gates) * lanes + lane;
        if (unit >= units) continue;
        const T* const column = m.data.data() + panel * m.depth * columns + v * lanes + lane;
        T* const to = row(v % m.gates, unit);
        for (Index k = 0; k < m.depth; ++k) to[k] = column[k * columns];
      }
}

// k of the result: the columns of m in storage order (block, gate, lane), padding of the last panel left out.
// Columns of the result: the k of m. `blocks`: of m's columns.
template <class T>
PackedMatrix<T> transpose(const PackedMatrix<T>& m, Index lanes, Index blocks);

// The same in parts: zeros in the shape of the result, and its panels, all or one.
template <class T>
PackedMatrix<T> empty_transposed(const PackedMatrix<T>& m, Index lanes, Index blocks);
template <class T>
void fill_transposed(const PackedMatrix<T>& m, const PackedMatrix<T>& to, Index lanes);
template <class T>
void transpose_panel(const PackedMatrix<T>& m, const PackedMatrix<T>& to, Index panel, Index lanes);

}  // namespace gru_native
