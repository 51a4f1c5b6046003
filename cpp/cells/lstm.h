// Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate Gers, Schmidhuber and Cummins 2000):
//   i = sigmoid(W_i x + b_i + U_i h-)      f = sigmoid(W_f x + b_f + U_f h-)
//   g = tanh   (W_g x + b_g + U_g h-)      o = sigmoid(W_o x + b_o + U_o h-)
//   c = f * c- + i * g
//   h = o * tanh(c)
#pragma once
#include "cells/unit.h"

namespace gru_native::GRU_NATIVE_ISA {

struct Lstm {
  enum Slot { i, f, g, o, slots };
  static constexpr Slots input{i, 4}, recurrent{i, 4}, candidate{0, 0};
  static constexpr int torch_gate[max_slots] = {0, 1, 2, 3};
  static constexpr bool uses_h_prev = false, has_c = true, split_gradients = false;

  template <class V>
  static void forward(Unit<V, slots>& s) {
    s.a[i] = sigmoid(s.a[i]);
    s.a[f] = sigmoid(s.a[f]);
    s.a[g] = tanh(s.a[g]);
    s.a[o] = sigmoid(s.a[o]);
    s.c = cell_state(s);
    s.h = s.a[o] * tanh(s.c);
  }
  template <class V>
  static V cell_state(const Unit<V, slots>& s) {
    return s.a[f] * s.c_prev + s.a[i] * s.a[g];
  }

  template <class V>
  static void backward(const Unit<V, slots>& s, UnitGradient<V, slots>& d) {
    const V t = tanh(cell_state(s));  // recomputed: cheaper than keeping c beside c-
    d.x[o] = d.dh * t * sigmoid_slope(s.a[o]);
    const V dc = d.dh * s.a[o] * tanh_slope(t) + d.dc;
    d.x[g] = dc * s.a[i] * tanh_slope(s.a[g]);
    d.x[f] = dc * s.c_prev * sigmoid_slope(s.a[f]);
    d.x[i] = dc * s.a[g] * sigmoid_slope(s.a[i]);
    d.dc = dc * s.a[f];
    d.dh_prev = V(0);
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
