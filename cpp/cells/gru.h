// Gated recurrent unit (Cho et al. 2014), h = (1 - z) n + z h-, in its two forms.
//   r = sigmoid(W_r x + b_r + U_r h-)      z = sigmoid(W_z x + b_z + U_z h-)
// Reset after the product (PyTorch, cuDNN):   n = tanh(W_n x + b_n + r * s),  s = U_n h- + b_s
// Reset before the product (the papers):      n = tanh(W_n x + b_n + U_n u),  u = r * h-
// The gates and n may have other activations (the book's n is logistic), and what goes into them a limit.
#pragma once
#include "cells/functions.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class V>
struct NoGruOptions {
  template <class T>
  static EIGEN_ALWAYS_INLINE NoGruOptions load(const CellOptions<T>&, Index) {
    return {};
  }
  static constexpr bool peephole = false;
  EIGEN_ALWAYS_INLINE V gate(V a) const { return Sigmoid::forward(a); }
  EIGEN_ALWAYS_INLINE V gate_backward(V y, V dy) const { return Sigmoid::backward(y, dy); }
  EIGEN_ALWAYS_INLINE V candidate(V a) const { return Tanh::forward(a); }
  EIGEN_ALWAYS_INLINE V candidate_backward(V y, V dy) const { return Tanh::backward(y, dy); }
};
template <class V>
struct GruOptions {
  template <class T>
  static EIGEN_ALWAYS_INLINE GruOptions load(const CellOptions<T>& o, Index) {
    return {{o.gate}, {o.input}};
  }
  static constexpr bool peephole = false;
  ChosenGate<V> gates;
  Chosen<V> input;
  EIGEN_ALWAYS_INLINE V gate(V a) const { return gates.forward(a); }
  EIGEN_ALWAYS_INLINE V gate_backward(V y, V dy) const { return gates.backward(y, dy); }
  EIGEN_ALWAYS_INLINE V candidate(V a) const { return input.forward(a); }
  EIGEN_ALWAYS_INLINE V candidate_backward(V y, V dy) const { return input.backward(y, dy); }
};

template <template <class> class Options>
struct GruResetAfter {
  enum Slot { n, r, z, s, slots };  // W fills n r z, U fills r z s
  static constexpr Slots input{n, 3}, recurrent{r, 3}, candidate{0, 0};
  static constexpr int torch_gate[max_slots] = {2, 0, 1, 2};
  static constexpr bool uses_h_prev = true, has_c = false, split_gradients = true;
  static constexpr int recurrent_gates = 0;
  static constexpr bool separate_output = false;
  template <class V>
  using OptionsOf = Options<V>;

  template <class V>
  static void forward(Unit<V, slots>& t, const Options<V>& p) {
    t.a[r] = p.gate(t.a[r]);
    t.a[z] = p.gate(t.a[z]);
    t.a[n] = p.candidate(multiply_add(t.a[r], t.a[s], t.a[n]));
    t.h = multiply_add(V(1) - t.a[z], t.a[n], t.a[z] * t.h_prev);
  }

  template <class V>
  static void backward(const Unit<V, slots>& t, UnitGradient<V, slots>& d, const Options<V>& p) {
    const V dn = p.candidate_backward(t.a[n], d.dh * (V(1) - t.a[z]));
    const V dz = p.gate_backward(t.a[z], d.dh * (t.h_prev - t.a[n]));
    const V dr = p.gate_backward(t.a[r], dn * t.a[s]);
    d.x[n - input.first] = dn;
    d.x[r - input.first] = d.h[r - recurrent.first] = dr;
    d.x[z - input.first] = d.h[z - recurrent.first] = dz;
    d.h[s - recurrent.first] = dn * t.a[r];
    d.dh_prev = d.dh * t.a[z];
  }
};

template <template <class> class Options>
struct GruResetBefore {
  enum Slot { r, z, n, slots };  // W fills r z n; U fills r z, and n in a second product
  static constexpr Slots input{r, 3}, recurrent{r, 2}, candidate{n, 1};
  static constexpr int torch_gate[max_slots] = {0, 1, 2};
  static constexpr bool uses_h_prev = true, has_c = false, split_gradients = true;
  static constexpr int recurrent_gates = 0;
  static constexpr bool separate_output = false;
  template <class V>
  using OptionsOf = Options<V>;

  template <class V>
  static void forward(Unit<V, slots>& t, const Options<V>& p) {
    t.a[r] = p.gate(t.a[r]);
    t.a[z] = p.gate(t.a[z]);
    t.u = t.a[r] * t.h_prev;
  }
  template <class V>
  static void candidate_forward(Unit<V, slots>& t, const Options<V>& p) {
    t.a[n] = p.candidate(t.a[n]);
    t.h = multiply_add(V(1) - t.a[z], t.a[n], t.a[z] * t.h_prev);
  }

  // First what the product with U_n^T needs, then, with its result q, the rest.
  template <class V>
  static void backward(const Unit<V, slots>& t, UnitGradient<V, slots>& d, const Options<V>& p) {
    d.candidate = p.candidate_backward(t.a[n], d.dh * (V(1) - t.a[z]));
    d.dh_prev = d.dh;
  }
  template <class V>
  static void candidate_backward(const Unit<V, slots>& t, UnitGradient<V, slots>& d, const Options<V>& p) {
    d.x[n] = p.candidate_backward(t.a[n], d.dh * (V(1) - t.a[z]));
    d.x[z] = d.h[z] = p.gate_backward(t.a[z], d.dh * (t.h_prev - t.a[n]));
    d.x[r] = d.h[r] = p.gate_backward(t.a[r], d.q * t.h_prev);
    d.dh_prev = d.dh * t.a[z] + d.q * t.a[r];
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
