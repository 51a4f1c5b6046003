// Drives cells/softmax.h over a row of n numbers, in place if need be. What lies past the row's end is 0 in every
// result.
#pragma once
#include "cells/softmax.h"
#include "kernels/norm.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class T>
RowShape row_of(Index n) {
  return {(n + CellLanes<T>::size - 1) / CellLanes<T>::size, n};
}

// A NaN that is not a[0] is passed over: the sum will have it.
template <class T>
CellLanes<T> largest(const T* a, Index n) {
  using V = CellLanes<T>;
  V top(a[0]);
  const auto take = [](V& to, V other) { to = where_less(to, other, other, to); };
  Index i = 0;
  GRU_NATIVE_COUNTING(units_at_hand = V::size);
  if (n >= 8 * V::size) {  // none waits for the one before it
    V others[3] = {top, top, top};
    for (; i + 4 * V::size <= n; i += 4 * V::size) {
      take(top, V::load(a + i));
#pragma GCC unroll 3
      for (int k = 0; k < 3; ++k) take(others[k], V::load(a + i + (k + 1) * V::size));
    }
    GRU_NATIVE_COUNTING(units_at_hand = 0);  // these have been counted
#pragma GCC unroll 3
    for (int k = 0; k < 3; ++k) take(top, others[k]);
    GRU_NATIVE_COUNTING(units_at_hand = V::size);
  }
  for (; i + V::size <= n; i += V::size) take(top, V::load(a + i));
  top = max_of_lanes(top);
  GRU_NATIVE_COUNTING(units_at_hand = 1);
  for (; i < n; ++i) take(top, V(a[i]));
  return top;
}

template <class T, class F>
EIGEN_ALWAYS_INLINE void store_row(T* y, Index n, const F& f) {
  using V = CellLanes<T>;
  for (Index i = 0; i < n; i += V::size) {
    GRU_NATIVE_COUNTING(units_at_hand = min(V::size, n - i));
    only_units(f(i), n - i).store(y + i);
  }
}

template <class T>
void softmax_forward(const T* a, T* y, Index n) {
  using V = CellLanes<T>;
  const V top = largest(a, n);
  const V sum(sum_row<T, 1>(row_of<T>(n), [&](Index at) {
    const V e = Softmax::exponential(V::load(a + at), top);
    e.store(y + at);
    return e;
  }));
  store_row(y, n, [&](Index at) { return Softmax::forward(V::load(y + at), sum); });
}
template <class T>
void softmax_backward(const T* y, const T* dy, T* da, Index n) {
  using V = CellLanes<T>;
  const V sum(sum_row<T, 1>(row_of<T>(n), [&](Index at) { return V::load(y + at) * V::load(dy + at); }));
  store_row(da, n, [&](Index at) { return Softmax::backward(V::load(y + at), V::load(dy + at), sum); });
}

template <class T>
void log_softmax_forward(const T* a, T* y, Index n) {
  using V = CellLanes<T>;
  const V top = largest(a, n);
  const V sum(sum_row<T, 1>(row_of<T>(n), [&](Index at) {
    const V d = LogSoftmax::below_top(V::load(a + at), top);
    d.store(y + at);
    return exp(d);
  }));
  GRU_NATIVE_COUNTING(units_at_hand = 1);
  const V log_sum = log(sum);
  store_row(y, n, [&](Index at) { return LogSoftmax::forward(V::load(y + at), log_sum); });
}
template <class T>
void log_softmax_backward(const T* y, const T* dy, T* da, Index n) {
  using V = CellLanes<T>;
  const V sum(sum_row<T, 1>(row_of<T>(n), [&](Index at) { return V::load(dy + at); }));
  store_row(da, n, [&](Index at) { return LogSoftmax::backward(V::load(y + at), V::load(dy + at), sum); });
}

}  // namespace gru_native::GRU_NATIVE_ISA
