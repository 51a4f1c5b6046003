// Sums over the taps of convolutions, as products of packed weights with rows that overlap: a row of the product is
// where a window begins in a padded image, and nothing is copied for each tap.
#pragma once
#include <vector>

#include "engine/matrix/matrices.h"

namespace gru_native {

// Of taps in the order of k: one more. whole: those that meet are one run.
inline void add_tap(std::vector<Run>& runs, const Run& tap, bool whole) {
  const bool meets = whole && !runs.empty() && tap.from == runs.back().from + runs.back().depth &&
                     tap.first == runs.back().first + runs.back().depth;
  if (meets) runs.back().depth += tap.depth;
  else runs.push_back(tap);
}

// The weights of one group: panels as in TapsProduct.
template <class T>
struct PackedTaps {
  PackedMatrix<T> matrix;
  int halves = 0;
  // Numbers of a row that a product writes.
  Index columns() const { return halves > 0 ? halves * kernels_for<T>().lanes / 2 : matrix.columns(); }
};
// Without its weights. depth: of taps that have `channels` numbers each.
template <class T>
PackedTaps<T> empty_taps(Index columns, Index depth, Index channels);
// rows: those of all columns, one after the other.
template <class T>
void fill_taps(PackedTaps<T>& taps, Index columns, const T* rows);

template <class T>
struct Taps {
  const std::vector<PackedTaps<T>>& weight;  // [group]
  const std::vector<Run>& runs;
  Index in, out;                             // channels of a group
  Rows<const T> start;  // where sums begin, in whole panels; of pairs (see TapsProduct) all rows alike

  // y = the sums of some rows. In x and y groups lie side by side.
  void sum(Rows<const T> x, Rows<T> y, Share rows) const { sum(x, start, y, rows); }

  Taps with(const std::vector<Run>& others) const { return {weight, others, in, out, start}; }

  // Numbers of a row that sum() writes.
  Index columns() const { return (static_cast<Index>(weight.size()) - 1) * out + weight.back().columns(); }

  static constexpr Index rows_at_once = 8 * whole_tiles;  // whose sums stay in the cache
  Index scratch_size() const { return rows_at_once * padded_stride(columns(), sizeof(T)); }

  // f(first row, how many, their sums) for some rows.
  template <class F>
  void each_sum(Rows<const T> x, Share rows, T* scratch, const F& f) const {
    const Matrix<T> sums{scratch, padded_stride(columns(), sizeof(T))};
    each_block(rows, [&](Index begin, Index count) {
      sum(behind(x, begin), behind(start, begin), rows_of(sums), {0, count});
      f(begin, count, sums);
    });
  }
  // f(first row, how many) where sums may be written in their places at once: see columns().
  template <class F>
  void each_sum(Rows<const T> x, Share rows, Rows<T> y, const F& f) const {
    each_block(rows, [&](Index begin, Index count) {
      sum(x, y, {begin, begin + count});
      f(begin, count);
    });
  }

 private:
  void sum(Rows<const T> x, Rows<const T> first, Rows<T> y, Share rows) const;
  static Rows<const T> behind(const Rows<const T>& rows, Index begin) {
    if (rows.offset) return {rows.base, rows.stride, rows.offset + begin};
    return {rows.base + begin * rows.stride, rows.stride, nullptr};
  }
  template <class F>
  static void each_block(Share rows, const F& f) {
    for (Index begin = rows.begin; begin < rows.end; begin += rows_at_once)
      f(begin, std::min(rows_at_once, rows.end - begin));
  }
};

}  // namespace gru_native
