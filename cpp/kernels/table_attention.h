// Attention's part of the border between engine and kernels; included by kernels/table.h.
#pragma once
#include "kernels/matrix.h"

namespace gru_native {

// The additive scores of one query for all positions of a memory (cells/attention.h). Rows of units are padded to whole
// vectors with zeros.
template <class T>
struct ScoreRows {
  Index positions, units;
  Matrix<const T> keys;  // [position][unit]
  const T *query, *v;
  T* e;  // [position], out
};
template <class T>
struct ScoreBackRows {
  Index positions, units;
  Matrix<const T> keys;
  const T *query, *v;
  const T* de;
  T *dquery, *dv;  // added to
  Matrix<T> dkeys;  // added to
  Matrix<T> dp;  // out: what this added to dkeys; base may be nullptr
};
template <class T>
struct AttentionKernels {
  void (*forward)(const ScoreRows<T>&);
  void (*backward)(const ScoreBackRows<T>&);
};

}  // namespace gru_native
