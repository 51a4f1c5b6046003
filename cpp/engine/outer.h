// Gradients of weights: sums of outer products over many rows.
#pragma once
#include "engine/layout.h"

namespace gru_native {

inline constexpr Index outer_rows = 48;  // columns of d whose sums are made at once

template <class T>
struct Outer {
  Index rows;          // that are summed over
  Matrix<const T> d;   // gradients of outputs, `d_columns` wide; what lies past them may be read
  Index d_columns;
  Matrix<const T> x;   // inputs; whole panels of 4 vectors are read
  Index columns;
  T* dw;               // [row][columns], written; null: not wanted
  T* db;               // [row], written; null: not wanted
  Matrix<T> scratch;   // outer_rows x whole panels, one for each thread
  const T* zeros;      // as many
};

// Rows [begin, end) of the sums of d^T x, for a share of d's columns. They are made where they stay: never in copies
// that are added up, so no bit depends on threads.
template <class T>
void outer_product(const Outer<T>& o, Index begin, Index end);
template <class T>
void outer_sums(const Outer<T>& o, Index begin, Index end);  // of d, into the first row of scratch

// dw = d^T x and db = sum of d, for a share of d's columns. row_of: d's column -> row of dw, or -1 (padding).
template <class T, class RowOf>
void outer(const Outer<T>& o, Share share, const RowOf& row_of) {
  for (Index begin = share.begin, end; begin < share.end && begin < o.d_columns; begin = end) {
    end = begin + outer_rows;
    if (end > share.end) end = share.end;
    if (end > o.d_columns) end = o.d_columns;
    if (o.dw) {
      outer_product(o, begin, end);
      for (Index j = begin; j < end; ++j)
        if (const Index to = row_of(j); to >= 0) {
          const T* const from = o.scratch.base + (j - begin) * o.scratch.stride;
          for (Index k = 0; k < o.columns; ++k) o.dw[to * o.columns + k] = from[k];
        }
    }
    if (o.db) {
      outer_sums(o, begin, end);
      for (Index j = begin; j < end; ++j)
        if (const Index to = row_of(j); to >= 0) o.db[to] = o.scratch.base[j - begin];
    }
  }
}

}  // namespace gru_native
