// What a gated graph network says of a node (Li, Tarlow, Brockschmidt and Zemel 2016): a value that a gate lets
// through.
//   p = phi(f) sigmoid(g), f and g linear in [h; annotation]
// A node's score is p with phi(f) = f; a graph's vector is the tanh of the sum of its nodes' p with phi = tanh.
#pragma once
#include "cells/functions.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class V>
struct ReadoutUnit {
  V f, g;    // in: pre-activations; out: activations
  V p;
  V dp;      // gradients: in
  V df, dg;  // out, of the pre-activations
};

template <class Phi>
struct Readout {
  template <class V>
  static EIGEN_ALWAYS_INLINE void forward(ReadoutUnit<V>& u) {
    u.f = Phi::forward(u.f);
    u.g = Sigmoid::forward(u.g);
    u.p = u.f * u.g;
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE void backward(ReadoutUnit<V>& u) {
    u.df = Phi::backward(u.f, u.dp * u.g);
    u.dg = Sigmoid::backward(u.g, u.dp * u.f);
  }
};

// The larger of two values (Goodfellow et al. 2013), as in the decoder of Cho et al. 2014.
//   p = max(f, g)
struct Maxout {
  // Equal ones are their mean, and so is NaN.
  template <class V>
  static EIGEN_ALWAYS_INLINE void forward(ReadoutUnit<V>& u) {
    u.p = where_less(u.f, u.g, u.g, where_less(u.g, u.f, u.f, number<V>(0.5) * (u.f + u.g)));
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE void backward(ReadoutUnit<V>& u) {
    u.df = where_less(u.f, u.g, V(0), u.dp);
    u.dg = where_less(u.f, u.g, u.dp, V(0));
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
