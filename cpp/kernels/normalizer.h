// The softmax of a row of logits in two parts, as losses need it: what normalises it, and then multiples of it.
#pragma once
#include "kernels/elementwise.h"
#include "kernels/softmax.h"
#include "kernels/table_losses.h"

namespace gru_native::GRU_NATIVE_ISA {

// Sum over a row of f(vector of a).
template <class T, class F>
EIGEN_ALWAYS_INLINE T sum_of(const T* a, Index n, const F& f) {
  using V = CellLanes<T>;
  V sum(T(0));
  each_vector<T>(n, [&](Index i, Index count) { sum = sum + only_units(f(V::load_first(a + i, count)), count); });
  return first_of(sum_of_lanes(sum));
}

template <class T>
Normalizer<T> normalizer(const T* a, Index n) {
  using V = CellLanes<T>;
  const V top = largest(a, n);
  const V sum(sum_of(a, n, [&](V v) { return Softmax::exponential(v, top); }));
  GRU_NATIVE_COUNTING(units_at_hand = 1);
  return {first_of(top), first_of(log(sum))};
}

template <class T>
T sum_above(const T* a, T level, Index n) {
  using V = CellLanes<T>;
  return sum_of(a, n, [&](V v) { return v - V(level); });
}

template <class T>
void scaled_softmax(const SoftmaxRow<T>& s) {
  using V = CellLanes<T>;
  const V top(s.z.top), log_sum(s.z.log_sum), scale(s.scale), shift(s.shift);
  each_vector<T>(s.n, [&](Index i, Index count) {
    const V p = exp(LogSoftmax::forward(LogSoftmax::below_top(V::load_first(s.a + i, count), top), log_sum));
    (scale * p - shift).store_first(s.y + i, count);
  });
}

}  // namespace gru_native::GRU_NATIVE_ISA
