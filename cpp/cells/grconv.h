// Gated recursive convolution (Cho, van Merrienboer, Bahdanau and Bengio 2014). A level makes one unit vector of each
// two neighbours of the level below:
//   (c, l, r) = softmax(G_l h_left + G_r h_right + b_G)      one number each, for all units of the pair
//   n = phi(W_l h_left + W_r h_right + b)
//   h = c n + l h_left + r h_right
#pragma once
#include "cells/functions.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class V>
struct PairGates {
  V c, l, r;
};

template <class V>
struct Pair {
  V n;               // in: pre-activation; out: activation
  V left, right, h;
};

template <class V>
struct PairGradient {
  V dh;              // in
  V n, left, right;  // out: of the pre-activation, and of the neighbours without W and G
};

template <class Phi>
struct GrConv {
  // From the largest, so that no exponential overflows.
  template <class V>
  static EIGEN_ALWAYS_INLINE PairGates<V> gates(PairGates<V> a) {
    const V most = where_less(a.c, a.l, a.l, a.c), top = where_less(most, a.r, a.r, most);
    const V c = exp(a.c - top), l = exp(a.l - top), r = exp(a.r - top);
    const V sum = c + l + r;
    return {c / sum, l / sum, r / sum};
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE void forward(const PairGates<V>& w, Pair<V>& p) {
    p.n = Phi::forward(p.n);
    p.h = w.c * p.n + w.l * p.left + w.r * p.right;
  }

  // Also adds to dw what these units give to the gradients of the gates.
  template <class V>
  static EIGEN_ALWAYS_INLINE void backward(const PairGates<V>& w, const Pair<V>& p, PairGradient<V>& d,
                                           PairGates<V>& dw) {
    d.n = Phi::backward(p.n, d.dh * w.c);
    d.left = d.dh * w.l;
    d.right = d.dh * w.r;
    dw.c = dw.c + d.dh * p.n;
    dw.l = dw.l + d.dh * p.left;
    dw.r = dw.r + d.dh * p.right;
  }
  // Of the softmax: da_k = w_k (dw_k - sum over gates of w dw).
  template <class V>
  static EIGEN_ALWAYS_INLINE PairGates<V> gates_backward(const PairGates<V>& w, const PairGates<V>& dw) {
    const V mean = w.c * dw.c + w.l * dw.l + w.r * dw.r;
    return {w.c * (dw.c - mean), w.l * (dw.l - mean), w.r * (dw.r - mean)};
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
