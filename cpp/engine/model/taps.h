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

// Those of all groups, which lie side by side in x and y. Where each is one channel (depthwise), a vector holds the
// channels' weights of one k.
template <class T>
struct GroupedTaps {
  Index groups, in, out;              // and the channels of one
  std::vector<PackedTaps<T>> packed;  // [group]; none of depthwise ones
  Buffer<T> depthwise;                // [k][channel, in whole vectors]
  Index depthwise_stride = 0;

  // Numbers of a row that a product writes.
  Index columns() const { return is_depthwise() ? groups : (groups - 1) * out + packed.back().columns(); }
  // Numbers of its start that a product reads.
  Index start_columns() const { return is_depthwise() ? groups : (groups - 1) * out + packed.back().matrix.columns(); }
  bool is_depthwise() const { return packed.empty(); }
  // Whether they are in pairs; see TapsProduct.
  bool in_pairs() const { return !is_depthwise() && packed.front().halves > 0; }
#if defined(GRU_NATIVE_COUNT)
  Work depthwise_work = Work::mac_forward;
  void set_work(Work work) {
    depthwise_work = work;
    for (PackedTaps<T>& taps : packed) taps.matrix.work = work;
  }
#endif
};
// Without weights. depth: of all taps of a group.
template <class T>
GroupedTaps<T> empty_taps(Index groups, Index in, Index out, Index depth);
// rows: those of all columns of all groups, one after the other, each of `depth` numbers.
template <class T>
void fill_taps(GroupedTaps<T>& taps, Index depth, const T* rows);

template <class T>
struct Taps {
  const GroupedTaps<T>& weight;
  const std::vector<Run>& runs;
  Rows<const T> start;  // where sums begin, start_columns() of each row; of pairs all rows alike

  // y = the sums of some rows.
  void sum(Rows<const T> x, Rows<T> y, Share rows) const { sum(x, start, y, rows); }

  static constexpr Index rows_at_once = 8 * whole_tiles;  // whose sums stay in the cache
  static Index scratch_size(const GroupedTaps<T>& w) { return rows_at_once * padded_stride(w.columns(), sizeof(T)); }

  // f(first row, how many, their sums) for some rows.
  template <class F>
  void each_sum(Rows<const T> x, Share rows, T* scratch, const F& f) const {
    const Matrix<T> sums{scratch, padded_stride(weight.columns(), sizeof(T))};
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
