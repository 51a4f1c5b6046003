// The losses' part of the border between engine and kernels (kernels/table.h).
#pragma once
#include "simd/index.h"

namespace gru_native {

// The softmax of a row a is e^(a - top - log_sum): top is the largest of a, log_sum = log of the sum of e^(a - top).
// log_sum is NaN where there is no softmax: for a NaN, for +infinity, and where all are -infinity.
template <class T>
struct Normalizer {
  T top, log_sum;
};

// y = scale softmax(a) - shift, for a row of n numbers. y may be a.
template <class T>
struct SoftmaxRow {
  const T* a;
  Normalizer<T> z;
  T scale, shift;
  T* y;
  Index n;
};

// Rows are the user's: nothing past their end is read or written.
template <class T>
struct LossKernels {
  Normalizer<T> (*normalizer)(const T* a, Index n);
  T (*sum_above)(const T* a, T level, Index n);  // sum of a - level
  void (*scaled_softmax)(const SoftmaxRow<T>&);
};

}  // namespace gru_native
