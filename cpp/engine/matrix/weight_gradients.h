// Gradients of weights: sums of outer products over many rows.
#pragma once
#include <algorithm>

#include "engine/matrix/shares.h"

namespace gru_native {

template <class T>
struct Outer {
  Index rows;         // that are summed over
  Matrix<const T> d;  // gradients of outputs
  Matrix<const T> x;  // inputs, `columns` wide
  Index columns;
  T* dw;              // [row][columns], written; null: not wanted
  T* db;              // [row], written; null: not wanted
#if defined(GRU_NATIVE_COUNT)
  const unsigned char* needed = nullptr;  // [row * needed_row + d's column * needed_column]; 0: padding; null: all
  Index needed_row = 0, needed_column = 0;
#endif
};

inline constexpr Index outer_granule = 48;  // of shares of d's columns: whole tiles of any instruction set

// The most columns of d that share_of gives to one member.
inline Index largest_share(Index columns, int members) {
  return std::min(columns, columns / members + 2 * outer_granule);
}
// Elements that one thread needs for `share` columns of d and `columns` of x.
template <class T>
Index outer_scratch(Index share, Index columns);

// The sums of one thread, made from blocks of rows that fit its cache: rows outermost, then slices of d's columns.
template <class T>
class OuterSums {
 public:
  OuterSums(const Outer<T>& o, Share share, T* scratch);
  Index blocks() const;
  void load(Index block);                  // packs its rows of x
  void add(Index begin, Index end);        // adds them for columns [begin, end) of d, one slice
  T* dw(Index column) const;               // row `column` of d^T x
  T* db(Index column) const;
#if defined(GRU_NATIVE_COUNT)
  template <class RowOf>
  void needs(Index begin, Index end, const RowOf& row_of) {
    for (Index column = begin; column < end; ++column) needed_[column - begin] = row_of(column) >= 0;
  }
#endif

 private:
  const Outer<T>& o_;
  const Share share_;
  Product<T> product_{};
  Matrix<T> sums_;
  T *zeros_, *x_panels_, *d_slice_, *d_sums_;
  Index row_ = 0;
  GRU_NATIVE_COUNTING(unsigned char needed_[outer_granule];)  // columns of the slice that are no padding
};

// dw = d^T x and db = sum of d, for a share of d's columns: every sum is made by one thread, over rows 0, 1, .., never
// in parts that are added up, so no bit depends on the number of threads. row_of: d's column -> row of dw, or -1
// (padding).
template <class T, class RowOf>
void outer(const Outer<T>& o, Share share, T* scratch, const RowOf& row_of) {
  if (share.begin >= share.end) return;
  OuterSums<T> sums(o, share, scratch);
  for (Index block = 0; block < sums.blocks(); ++block) {
    sums.load(block);
    for (Index begin = share.begin; begin < share.end; begin += outer_granule) {
      const Index end = std::min(begin + outer_granule, share.end);
      GRU_NATIVE_COUNTING(sums.needs(begin, end, row_of));
      sums.add(begin, end);
      if (block + 1 < sums.blocks()) continue;
      for (Index column = begin; column < end; ++column) {
        const Index to = row_of(column);
        if (to < 0) continue;
        if (o.dw) std::copy_n(sums.dw(column), o.columns, o.dw + to * o.columns);
        if (o.db) o.db[to] = *sums.db(column);
      }
    }
  }
}

}  // namespace gru_native
