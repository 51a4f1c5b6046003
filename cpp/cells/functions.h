// Activations that are chosen when the program runs: one branch for a whole vector, the same at every step.
#pragma once
#include "cells/unit.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class V>
EIGEN_ALWAYS_INLINE V activate(Activation f, V a) {
  switch (f) {
    case Activation::tanh: return tanh(a);
    case Activation::sigmoid: return sigmoid(a);
    case Activation::relu: return relu(a);
    case Activation::identity: break;
  }
  return a;
}

// dy f'(a), from y = f(a).
template <class V>
EIGEN_ALWAYS_INLINE V activate_backward(Activation f, V y, V dy) {
  switch (f) {
    case Activation::tanh: return dy * tanh_slope(y);
    case Activation::sigmoid: return dy * sigmoid_slope(y);
    case Activation::relu: return where_less(V(0), y, dy, V(0));
    case Activation::identity: break;
  }
  return dy;
}

}  // namespace gru_native::GRU_NATIVE_ISA
