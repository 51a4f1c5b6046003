// The Elman network: h = f(W x + b + U h-), f = tanh, max(., 0), or chosen when the program runs.
#pragma once
#include "cells/functions.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class F>
struct FixedFunction {
  template <class V>
  struct Options : NoOptions<V> {
    template <class T>
    static EIGEN_ALWAYS_INLINE Options load(const CellOptions<T>&, Index) {
      return {};
    }
    EIGEN_ALWAYS_INLINE V f(V a) const { return F::forward(a); }
    EIGEN_ALWAYS_INLINE V f_backward(V y, V dy) const { return F::backward(y, dy); }
  };
};
struct ChosenFunction {
  template <class V>
  struct Options {
    template <class T>
    static EIGEN_ALWAYS_INLINE Options load(const CellOptions<T>& o, Index) {
      return {{o.input}};
    }
    static constexpr bool peephole = false;
    Chosen<V> input;
    EIGEN_ALWAYS_INLINE V f(V a) const { return input.forward(a); }
    EIGEN_ALWAYS_INLINE V f_backward(V y, V dy) const { return input.backward(y, dy); }
  };
};

template <class Function>
struct Rnn {
  enum Slot { h, slots };
  static constexpr Slots input{0, 1}, recurrent{0, 1}, candidate{0, 0};
  static constexpr int torch_gate[max_slots] = {0};
  static constexpr bool uses_h_prev = false, has_c = false, split_gradients = false;
  static constexpr int recurrent_gates = 0;
  static constexpr bool separate_output = false;
  template <class V>
  using OptionsOf = typename Function::template Options<V>;

  template <class V>
  static void forward(Unit<V, slots>& s, const OptionsOf<V>& p) {
    s.a[h] = p.f(s.a[h]);
    s.h = s.a[h];
  }

  template <class V>
  static void backward(const Unit<V, slots>& s, UnitGradient<V, slots>& d, const OptionsOf<V>& p) {
    d.x[h] = p.f_backward(s.a[h], d.dh);
    d.dh_prev = V(0);
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
