// Drives functions of one number over arrays.
#pragma once
#include "cells/functions.h"
#include "kernels/product.h"

namespace gru_native::GRU_NATIVE_ISA {

// f(offset, number of elements) for each vector of n elements, the last one perhaps not whole.
template <class T, class F>
EIGEN_ALWAYS_INLINE void each_vector(Index n, const F& f) {
  constexpr Index size = CellLanes<T>::size;
  Index i = 0;
  GRU_NATIVE_COUNTING(units_at_hand = size);
  for (; i + size <= n; i += size) f(i, size);
  GRU_NATIVE_COUNTING(units_at_hand = n - i);
  if (i < n) f(i, n - i);
}

template <class F, class T>
void forward_array(const T* a, T* y, Index n) {
  using V = CellLanes<T>;
  for (Index i = 0; i < n; i += V::size) {
    GRU_NATIVE_COUNTING(units_at_hand = min(V::size, n - i));
    F::forward(V::load(a + i)).store(y + i);
  }
}
template <class F, class T>
void backward_array(const T* y, const T* dy, T* da, Index n) {
  using V = CellLanes<T>;
  for (Index i = 0; i < n; i += V::size) {
    GRU_NATIVE_COUNTING(units_at_hand = min(V::size, n - i));
    F::backward(V::load(y + i), V::load(dy + i)).store(da + i);
  }
}

template <class F, class T>
constexpr ActivationKernels<T> activation_kernels() {
  return {&forward_array<F, T>, &backward_array<F, T>};
}

}  // namespace gru_native::GRU_NATIVE_ISA
