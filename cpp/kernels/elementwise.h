// Drives a function of one number over an array.
#pragma once
#include "cells/functions.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class F, class T>
void forward_array(const T* a, T* y, Index n) {
  for (Index i = 0; i < n; i += Lanes<T>::size) F::forward(Lanes<T>::load(a + i)).store(y + i);
}
template <class F, class T>
void backward_array(const T* y, const T* dy, T* da, Index n) {
  for (Index i = 0; i < n; i += Lanes<T>::size)
    F::backward(Lanes<T>::load(y + i), Lanes<T>::load(dy + i)).store(da + i);
}

template <class F, class T>
constexpr ActivationKernels<T> activation_kernels() {
  return {&forward_array<F, T>, &backward_array<F, T>};
}

}  // namespace gru_native::GRU_NATIVE_ISA
