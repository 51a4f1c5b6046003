// Tree-LSTM (Tai, Socher and Manning 2015). A node has children k = 1.., each with its h_k and c_k; s is what the node
// reads of their h: the sum of h_k (child-sum) or all h_k side by side (N-ary).
//   i = sigmoid(W_i x + b_i + U_i s)      g = tanh(W_g x + b_g + U_g s)      o = sigmoid(W_o x + b_o + U_o s)
//   f_k = sigmoid(W_f x + b_f + U_f h_k)  (child-sum)      f_k = sigmoid(W_f x + b_f + U_fk s)  (N-ary)
//   c = i * g + sum over k of f_k * c_k
//   h = o * tanh(c)
#pragma once
#include "cells/functions.h"
#include "cells/gate.h"

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
    s.a[i] = Sigmoid::forward(s.a[i]);
    s.a[g] = Tanh::forward(s.a[g]);
    s.a[o] = Sigmoid::forward(s.a[o]);
    s.c = Gate<V>{s.a[i], s.a[g]}.forward();
  }
  template <class V>
  static void child(TreeUnit<V>& s, V& f, V c_k) {
    f = Sigmoid::forward(f);
    s.c = s.c + Gate<V>{f, c_k}.forward();
  }
  template <class V>
  static void close(TreeUnit<V>& s) {
    s.h = Gate<V>{s.a[o], Tanh::forward(s.c)}.forward();
  }

  template <class V>
  static void close_backward(const TreeUnit<V>& s, TreeUnitGradient<V>& d) {
    const Gate<V> out{s.a[o], Tanh::forward(s.c)};
    d.a[o] = Sigmoid::backward(s.a[o], out.backward_to_gate(d.dh));
    d.dc = Tanh::backward(out.v, out.backward_to_value(d.dh)) + d.dc;
  }
  template <class V>
  static void child_backward(const TreeUnitGradient<V>& d, V f, V c_k, V& df, V& dc_k) {
    const Gate<V> kept{f, c_k};
    df = Sigmoid::backward(f, kept.backward_to_gate(d.dc));
    dc_k = kept.backward_to_value(d.dc);
  }
  template <class V>
  static void open_backward(const TreeUnit<V>& s, TreeUnitGradient<V>& d) {
    const Gate<V> added{s.a[i], s.a[g]};
    d.a[g] = Tanh::backward(s.a[g], added.backward_to_value(d.dc));
    d.a[i] = Sigmoid::backward(s.a[i], added.backward_to_gate(d.dc));
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
