// The Elman network: h = f(W x + b + U h-), f = tanh or max(., 0).
#pragma once
#include "cells/functions.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class F>
struct Rnn {
  enum Slot { h, slots };
  static constexpr Slots input{0, 1}, recurrent{0, 1}, candidate{0, 0};
  static constexpr int torch_gate[max_slots] = {0};
  static constexpr bool uses_h_prev = false, has_c = false, split_gradients = false;
  static constexpr int recurrent_gates = 0;
  static constexpr bool separate_output = false;
  template <class V>
  using OptionsOf = NoOptions<V>;

  template <class V>
  static void forward(Unit<V, slots>& s, const NoOptions<V>&) {
    s.a[h] = F::forward(s.a[h]);
    s.h = s.a[h];
  }

  template <class V>
  static void backward(const Unit<V, slots>& s, UnitGradient<V, slots>& d, const NoOptions<V>&) {
    d.x[h] = F::backward(s.a[h], d.dh);
    d.dh_prev = V(0);
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
