// Functions of one number: y = f(a), and da = dy f'(a) with the slope written from y.
#pragma once
#include "cells/unit.h"

namespace gru_native::GRU_NATIVE_ISA {

struct Identity {
  template <class V>
  static EIGEN_ALWAYS_INLINE V forward(V a) {
    return a;
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE V backward(V, V dy) {
    return dy;
  }
};

struct Tanh {
  template <class V>
  static EIGEN_ALWAYS_INLINE V forward(V a) {
    return tanh(a);
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE V backward(V y, V dy) {
    return dy * tanh_slope(y);
  }
};

struct Sigmoid {
  template <class V>
  static EIGEN_ALWAYS_INLINE V forward(V a) {
    return sigmoid(a);
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE V backward(V y, V dy) {
    return dy * sigmoid_slope(y);
  }
};

// Its slope is 1 where its output is positive (0 at 0, as in torch).
struct Relu {
  template <class V>
  static EIGEN_ALWAYS_INLINE V forward(V a) {
    return relu(a);
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE V backward(V y, V dy) {
    return where_less(V(0), y, dy, V(0));
  }
};

// Chosen when the program runs: one branch for a whole vector, the same at every step.
template <class V>
EIGEN_ALWAYS_INLINE V activate(Activation f, V a) {
  switch (f) {
    case Activation::tanh: return Tanh::forward(a);
    case Activation::sigmoid: return Sigmoid::forward(a);
    case Activation::relu: return Relu::forward(a);
    case Activation::identity: break;
  }
  return Identity::forward(a);
}
template <class V>
EIGEN_ALWAYS_INLINE V activate_backward(Activation f, V y, V dy) {
  switch (f) {
    case Activation::tanh: return Tanh::backward(y, dy);
    case Activation::sigmoid: return Sigmoid::backward(y, dy);
    case Activation::relu: return Relu::backward(y, dy);
    case Activation::identity: break;
  }
  return Identity::backward(y, dy);
}

}  // namespace gru_native::GRU_NATIVE_ISA
