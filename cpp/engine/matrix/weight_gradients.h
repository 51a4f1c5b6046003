// Gradients of weights and biases: sums over many rows of outer products, gradients of outputs by inputs.
#pragma once
#include <algorithm>

#include "engine/shares.h"
#include "runtime/interruption.h"

namespace gru_native {

template <class T>
struct WeightGradients {
  Index rows;         // that are summed over
  Matrix<const T> d;  // gradients of outputs, `outputs` wide
  Index outputs;
  Rows<const T> x;    // inputs, `columns` wide
  Index columns;
  T* dw;              // [row][columns], written; null: not wanted
  T* db;              // [row], written; null: not wanted
#if defined(GRU_NATIVE_COUNT)
  const unsigned char* needed = nullptr;  // [row * needed_row + d's column * needed_column]; 0: padding; null: all
  Index needed_row = 0, needed_column = 0;
#endif
};

// Elements that each member needs for the sums of so many outputs and columns.
template <class T>
Index weight_gradients_scratch(Index outputs, Index columns, int members);

inline constexpr Index outputs_at_once = 48;  // of d, a slice: whole tiles of any instruction set

// The sums of one thread, made from blocks of rows that fit its cache: rows outermost, then slices of d's columns.
template <class T>
class WeightGradientSums {
 public:
  // in_place: row r of dw is that of d's column r, so the sums may be made where they end.
  WeightGradientSums(const WeightGradients<T>& g, Share share, T* scratch, bool in_place);
  Index blocks() const;
  void load(Index block);  // packs its rows of x
  void add(Index begin, Index end);  // adds them for columns [begin, end) of d, one slice
  T* dw(Index column) const;  // row `column` of d^T x
  T* db(Index column) const;
  bool in_place() const { return in_place_; }
#if defined(GRU_NATIVE_COUNT)
  template <class RowOf>
  void needs(Index begin, Index end, const RowOf& row_of) {
    for (Index column = begin; column < end; ++column) needed_[column - begin] = row_of(column) >= 0;
  }
#endif

 private:
  const WeightGradients<T>& g_;
  const Share share_;
  const bool in_place_;
  Product<T> product_{};
  Matrix<T> sums_;
  T *zeros_, *x_panels_, *d_slice_, *d_sums_;
  Index row_ = 0;
  Progress progress_;
  GRU_NATIVE_COUNTING(unsigned char needed_[outputs_at_once];)  // columns of the slice that are no padding
};

// dw = d^T x and db = sum of d, for a member's share of the outputs: every sum is made by one thread, over rows 0, 1,
// .., never in parts that are added up, so no bit depends on the number of threads. row_of: d's column -> row of dw, or
// -1 (padding).
template <class T, class RowOf>
void sum_weight_gradients(const WeightGradients<T>& g, T* scratch, int member, int members, const RowOf& row_of,
                          bool in_place = false) {
  const Share share = share_of(g.outputs, 1, member, members);
  if (share.begin >= share.end) return;
  WeightGradientSums<T> sums(g, share, scratch, in_place);
  for (Index block = 0; block < sums.blocks(); ++block) {
    sums.load(block);
    for (Index begin = share.begin; begin < share.end; begin += outputs_at_once) {
      const Index end = std::min(begin + outputs_at_once, share.end);
      GRU_NATIVE_COUNTING(sums.needs(begin, end, row_of));
      sums.add(begin, end);
      if (block + 1 < sums.blocks()) continue;
      for (Index column = begin; column < end; ++column) {
        const Index to = row_of(column);
        if (to < 0) continue;
        if (g.dw && !sums.in_place()) std::copy_n(sums.dw(column), g.columns, g.dw + to * g.columns);
        if (g.db) g.db[to] = *sums.db(column);
      }
    }
  }
}
template <class T>
void sum_weight_gradients(const WeightGradients<T>& g, T* scratch, int member, int members) {
  sum_weight_gradients(g, scratch, member, members, [](Index column) { return column; }, true);
}

}  // namespace gru_native
