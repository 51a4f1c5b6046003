// What a dense layer does behind its product: y = f(a), and da = dy f'(a) with the slope written from y.
#pragma once
#include "cells/unit.h"

namespace gru_native::GRU_NATIVE_ISA {

struct Identity {
  template <class V>
  static V forward(V a) {
    return a;
  }
  template <class V>
  static V backward(V, V dy) {
    return dy;
  }
};

struct Tanh {
  template <class V>
  static V forward(V a) {
    return tanh(a);
  }
  template <class V>
  static V backward(V y, V dy) {
    return dy * tanh_slope(y);
  }
};

struct Sigmoid {
  template <class V>
  static V forward(V a) {
    return sigmoid(a);
  }
  template <class V>
  static V backward(V y, V dy) {
    return dy * sigmoid_slope(y);
  }
};

struct Relu {
  template <class V>
  static V forward(V a) {
    return relu(a);
  }
  template <class V>
  static V backward(V y, V dy) {
    return where_less(V(0), y, dy, V(0));
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
