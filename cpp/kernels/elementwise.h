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

template <class T>
void function_forward(const ChosenActivation<T>& f, const T* a, T* y, Index n) {
  using V = CellLanes<T>;
  const Chosen<V> function{f};
  for (Index i = 0; i < n; i += V::size) {
    GRU_NATIVE_COUNTING(units_at_hand = min(V::size, n - i));
    function.forward(V::load(a + i)).store(y + i);
  }
}
template <class T>
void function_backward(const ChosenActivation<T>& f, const T* y, const T* dy, T* da, Index n) {
  using V = CellLanes<T>;
  const Chosen<V> function{f};
  for (Index i = 0; i < n; i += V::size) {
    GRU_NATIVE_COUNTING(units_at_hand = min(V::size, n - i));
    function.backward(V::load(y + i), V::load(dy + i)).store(da + i);
  }
}

template <class T>
void affine_rows(const AffineRows<T>& s) {
  using V = CellLanes<T>;
  for (Index row = s.row_begin; row < s.row_end; ++row) {
    T* const a = s.a.base + row * s.a.stride;
    for (Index i = 0; i < s.columns; i += V::size) {
      GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.columns - i));
      multiply_add(V::load(s.gain + i), V::load(a + i), V::load(s.bias + i)).store(a + i);
    }
  }
}

}  // namespace gru_native::GRU_NATIVE_ISA
