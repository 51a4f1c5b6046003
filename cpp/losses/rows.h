// Rows of logits, as the losses of sequences see them.
#pragma once
#include <cmath>

#include "runtime/dispatch.h"

namespace gru_native {

// What the softmax of one number costs, in multiply-adds (engine/threads.h).
inline constexpr double softmax_macs = 8;

// log softmax(a)[k], right also for numbers far from 0.
template <class T>
double log_probability(const T* a, const Normalizer<T>& z, Index k) {
  return static_cast<double>(a[k]) - static_cast<double>(z.top) - static_cast<double>(z.log_sum);
}

template <class T>
bool has_softmax(const Normalizer<T>& z) {
  return !std::isnan(z.log_sum);
}

}  // namespace gru_native
