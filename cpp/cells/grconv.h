// Gated recursive convolution (Cho, van Merrienboer, Bahdanau and Bengio 2014). A level makes one unit vector of each
// two neighbours of the level below:
//   (c, l, r) = softmax(G_l h_left + G_r h_right + b_G)      one number each, for all units of the pair
//   n = phi(W_l h_left + W_r h_right + b)
//   h = c n + l h_left + r h_right
#pragma once
#include "cells/functions.h"
#include "cells/softmax.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class V>
struct GrConvGates {
  V c, l, r;
};

template <class V>
struct GrConvUnit {
  V n;               // in: pre-activation; out: activation
  V left, right, h;
};

template <class V>
struct GrConvUnitGradient {
  V dh;              // in
  V n, left, right;  // out: of the pre-activation, and of the neighbours without W and G
};

template <class Phi>
struct GrConv {
  template <class V>
  static EIGEN_ALWAYS_INLINE GrConvGates<V> gates(GrConvGates<V> a) {
    const V most = where_less(a.c, a.l, a.l, a.c), top = where_less(most, a.r, a.r, most);
    const V c = Softmax::exponential(a.c, top), l = Softmax::exponential(a.l, top), r = Softmax::exponential(a.r, top);
    const V sum = c + l + r;
    return {Softmax::forward(c, sum), Softmax::forward(l, sum), Softmax::forward(r, sum)};
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE void forward(const GrConvGates<V>& w, GrConvUnit<V>& p) {
    p.n = Phi::forward(p.n);
    p.h = w.c * p.n + w.l * p.left + w.r * p.right;
  }

  // Also adds to dw what these units give to the gradients of the gates.
  template <class V>
  static EIGEN_ALWAYS_INLINE void backward(const GrConvGates<V>& w, const GrConvUnit<V>& p, GrConvUnitGradient<V>& d,
                                           GrConvGates<V>& dw) {
    d.n = Phi::backward(p.n, d.dh * w.c);
    d.left = d.dh * w.l;
    d.right = d.dh * w.r;
    dw.c = dw.c + d.dh * p.n;
    dw.l = dw.l + d.dh * p.left;
    dw.r = dw.r + d.dh * p.right;
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE GrConvGates<V> gates_backward(const GrConvGates<V>& w, const GrConvGates<V>& dw) {
    const V sum = w.c * dw.c + w.l * dw.l + w.r * dw.r;
    return {Softmax::backward(w.c, dw.c, sum), Softmax::backward(w.l, dw.l, sum), Softmax::backward(w.r, dw.r, sum)};
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
