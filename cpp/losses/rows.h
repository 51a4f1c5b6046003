// Rows of logits, as the losses of sequences see them.
#pragma once
#include <cmath>

#include "runtime/dispatch.h"
#include "simd/executed.h"

namespace gru_native {

// What the softmax of one number costs, in multiply-adds (engine/threads.h).
inline constexpr double softmax_macs = 8;

// log softmax(a)[k], right also for numbers far from 0.
template <class T>
double log_probability(const T* a, const Normalizer<T>& z, Index k) {
  GRU_NATIVE_EXECUTED(add, 2);
  return static_cast<double>(a[k]) - static_cast<double>(z.top) - static_cast<double>(z.log_sum);
}

// The first of n rows without a softmax, or -1.
template <class T>
Index first_without_softmax(const Normalizer<T>* z, Index n) {
  for (Index row = 0; row < n; ++row)
    if (std::isnan(z[row].log_sum)) return row;
  return -1;
}

}  // namespace gru_native
