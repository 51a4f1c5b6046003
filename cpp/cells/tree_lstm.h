// Tree-LSTM (Tai, Socher and Manning 2015). A node has children k = 1.., each with its h_k and c_k; s is what the node
// reads of their h: the sum of h_k (child-sum) or all h_k side by side (N-ary).
//   i = sigmoid(W_i x + b_i + U_i s)      g = tanh(W_g x + b_g + U_g s)      o = sigmoid(W_o x + b_o + U_o s)
//   f_k = sigmoid(W_f x + b_f + U_f h_k)  (child-sum)      f_k = sigmoid(W_f x + b_f + U_fk s)  (N-ary)
//   c = i * g + sum over k of f_k * c_k
//   h = o * tanh(c)
#pragma once
#include "cells/unit.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class V>
struct TreeUnit {
  V a[3];           // in: pre-activations; out: activations. Named by the cell's enum
  V c, h;
};

template <class V>
struct TreeUnitGradient {
  V dh;             // in: gradient of h, from the parent and from outside
  V dc;             // in: of c, likewise; after close_backward: through h as well
  V a[3];           // out: gradients of the pre-activations
};

struct TreeLstm {
  enum Slot { i, g, o, slots };  // f belongs to the children

  // The node alone, then child after child, then what goes out.
  template <class V>
  static void open(TreeUnit<V>& s) {
    s.a[i] = sigmoid(s.a[i]);
    s.a[g] = tanh(s.a[g]);
    s.a[o] = sigmoid(s.a[o]);
    s.c = s.a[i] * s.a[g];
  }
  template <class V>
  static void child(TreeUnit<V>& s, V& f, V c_k) {
    f = sigmoid(f);
    s.c = s.c + f * c_k;
  }
  template <class V>
  static void close(TreeUnit<V>& s) {
    s.h = s.a[o] * tanh(s.c);
  }

  template <class V>
  static void close_backward(const TreeUnit<V>& s, TreeUnitGradient<V>& d) {
    const V t = tanh(s.c);
    d.a[o] = d.dh * t * sigmoid_slope(s.a[o]);
    d.dc = d.dh * s.a[o] * tanh_slope(t) + d.dc;
  }
  template <class V>
  static void child_backward(const TreeUnitGradient<V>& d, V f, V c_k, V& df, V& dc_k) {
    df = d.dc * c_k * sigmoid_slope(f);
    dc_k = d.dc * f;
  }
  template <class V>
  static void open_backward(const TreeUnit<V>& s, TreeUnitGradient<V>& d) {
    d.a[g] = d.dc * s.a[i] * tanh_slope(s.a[g]);
    d.a[i] = d.dc * s.a[g] * sigmoid_slope(s.a[i]);
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
