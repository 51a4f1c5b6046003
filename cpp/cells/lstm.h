// Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate Gers, Schmidhuber and Cummins 2000):
//   i = sigmoid(W_i x + b_i + U_i h-)      f = sigmoid(W_f x + b_f + U_f h-)
//   g = tanh   (W_g x + b_g + U_g h-)      o = sigmoid(W_o x + b_o + U_o h-)
//   c = f * c- + i * g
//   h = o * tanh(c)
// and what may differ (Greff et al. 2017; Sak, Senior and Beaufays 2014):
//   peepholes     i and f see p_i * c- and p_f * c-, o sees p_o * c
//   gates         any of i, f, o may be missing: it is then 1; coupled: f = 1 - i
//   activations   of the gates, of g, and of c before it goes out; what goes into them may be held within a limit
//   clip          c held within [-limit, limit]; nothing flows back where it was cut
//   normalised    h = o * out(n), n = gain * c + bias with c normalised over the layer's units (cells/layer_norm.h)
//   recurrence    each of i, f, o also sees R [i-, f-, o-], all gates of the step before
#pragma once
#include "cells/functions.h"
#include "cells/gate.h"

namespace gru_native::GRU_NATIVE_ISA {

// Which gates have weights of their own, and whether these see those of the step before.
template <bool input, bool forget, bool output, bool is_coupled, bool is_recurrent = false, bool is_normalised = false>
struct LstmGates {
  static constexpr bool i = input, f = forget, o = output, coupled = is_coupled, recurrent = is_recurrent;
  static constexpr bool normalised = is_normalised;
};
using AllGates = LstmGates<true, true, true, false>;

// The standard cell: nothing to choose when the program runs.
template <class V>
struct NoLstmOptions {
  template <class T>
  static EIGEN_ALWAYS_INLINE NoLstmOptions load(const CellOptions<T>&, Index) {
    return {};
  }
  static constexpr bool peephole = false;
  V p[3];
  EIGEN_ALWAYS_INLINE V gate(V a) const { return Sigmoid::forward(a); }
  EIGEN_ALWAYS_INLINE V gate_backward(V y, V dy) const { return Sigmoid::backward(y, dy); }
  EIGEN_ALWAYS_INLINE V in(V a) const { return Tanh::forward(a); }
  EIGEN_ALWAYS_INLINE V in_backward(V y, V dy) const { return Tanh::backward(y, dy); }
  EIGEN_ALWAYS_INLINE V out(V c) const { return Tanh::forward(c); }
  EIGEN_ALWAYS_INLINE V out_backward(V y, V dy) const { return Tanh::backward(y, dy); }
  EIGEN_ALWAYS_INLINE V clip(V c) const { return c; }
  EIGEN_ALWAYS_INLINE V clip_backward(V, V dc) const { return dc; }
};

template <class V>
struct LstmOptions {
  template <class T>
  static EIGEN_ALWAYS_INLINE LstmOptions load(const CellOptions<T>& o, Index block) {
    LstmOptions s{o.peephole != nullptr, {}, {o.gate}, {o.input}, {o.output}, V(o.clip)};
    if (s.peephole)
      for (int gate = 0; gate < 3; ++gate) s.p[gate] = V::load(o.peephole + (block * 3 + gate) * V::size);
    return s;
  }
  bool peephole;
  V p[3];  // to i, f, o
  ChosenGate<V> gates;
  Chosen<V> input, output;
  V limit;
  EIGEN_ALWAYS_INLINE V gate(V a) const { return gates.forward(a); }
  EIGEN_ALWAYS_INLINE V gate_backward(V y, V dy) const { return gates.backward(y, dy); }
  EIGEN_ALWAYS_INLINE V in(V a) const { return input.forward(a); }
  EIGEN_ALWAYS_INLINE V in_backward(V y, V dy) const { return input.backward(y, dy); }
  EIGEN_ALWAYS_INLINE V out(V c) const { return output.forward(c); }
  EIGEN_ALWAYS_INLINE V out_backward(V y, V dy) const { return output.backward(y, dy); }
  EIGEN_ALWAYS_INLINE V clip(V c) const { return clamp(c, limit); }
  EIGEN_ALWAYS_INLINE V clip_backward(V c, V dc) const { return clamp_backward(c, limit, dc); }
};

template <class G, template <class> class Options>
struct LstmCell {
  // Gates that are missing have no slot. Those that recur are neighbours: one product fills them.
  static constexpr int i = 0, f = i + G::i, g = f + G::f + G::recurrent, o = G::recurrent ? g - 1 : g + 1;
  static constexpr int slots = 1 + G::i + G::f + G::o, recurrent_gates = G::recurrent ? 3 : 0;
  static constexpr Slots input{0, slots}, recurrent{0, slots}, candidate{0, 0};
  static constexpr int torch_gate[max_slots] = {0, 1, G::recurrent ? 3 : 2, G::recurrent ? 2 : 3};
  static constexpr bool uses_h_prev = false, has_c = true, split_gradients = false;
  static constexpr bool separate_output = G::normalised;
  template <class V>
  using OptionsOf = Options<V>;

  template <class V>
  static EIGEN_ALWAYS_INLINE void forward(Unit<V, slots>& s, const Options<V>& p) {
    if constexpr (G::i) s.a[i] = p.gate(p.peephole ? multiply_add(p.p[0], s.c_prev, s.a[i]) : s.a[i]);
    if constexpr (G::f) s.a[f] = p.gate(p.peephole ? multiply_add(p.p[1], s.c_prev, s.a[f]) : s.a[f]);
    s.a[g] = p.in(s.a[g]);
    s.c = p.clip(kept(s).forward() + added(s).forward());
    if constexpr (G::o) s.a[o] = p.gate(p.peephole ? multiply_add(p.p[2], s.c, s.a[o]) : s.a[o]);
    if constexpr (!G::normalised) output_forward(s, s.c, p);
  }

  template <class V>
  static EIGEN_ALWAYS_INLINE void output_forward(Unit<V, slots>& s, V n, const Options<V>& p) {
    s.h = Gate<V>{output_gate(s), p.out(n)}.forward();
  }

  template <class V>
  static EIGEN_ALWAYS_INLINE V input_gate(const Unit<V, slots>& s) {
    if constexpr (G::i) return s.a[i];
    return V(1);
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE V forget_gate(const Unit<V, slots>& s) {
    if constexpr (G::f) return s.a[f];
    if constexpr (G::coupled) return V(1) - s.a[i];
    return V(1);
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE V output_gate(const Unit<V, slots>& s) {
    if constexpr (G::o) return s.a[o];
    return V(1);
  }
  // What stays in c, and what is new.
  template <class V>
  static EIGEN_ALWAYS_INLINE Gate<V> kept(const Unit<V, slots>& s) {
    return {forget_gate(s), s.c_prev};
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE Gate<V> added(const Unit<V, slots>& s) {
    return {input_gate(s), s.a[g]};
  }

  // The gradient of a gate's activation: its own part, and from the gates of t+1.
  template <class V>
  static EIGEN_ALWAYS_INLINE V with_next(V own, const UnitGradient<V, slots>& d, int gate) {
    if constexpr (G::recurrent) return own + d.gates[gate];
    return own;
  }

  // From dh: q, of n, and in place of dh that of o.
  template <class V>
  static EIGEN_ALWAYS_INLINE void output_backward(const Unit<V, slots>& s, V n, UnitGradient<V, slots>& d,
                                                  const Options<V>& p) {
    const Gate<V> out{output_gate(s), p.out(n)};
    d.q = p.out_backward(out.v, out.backward_to_value(d.dh));
    if constexpr (G::o) d.dh = out.backward_to_gate(d.dh);
  }

  template <class V>
  static EIGEN_ALWAYS_INLINE void backward(const Unit<V, slots>& s, UnitGradient<V, slots>& d, const Options<V>& p) {
    const Gate<V> stays = kept(s), enters = added(s);
    const V sum = stays.forward() + enters.forward();  // recomputed: cheaper than keeping c beside c-
    const V c = p.clip(sum);
    if constexpr (!G::normalised) output_backward(s, c, d, p);
    V dc = d.q + d.dc;
    d.peephole[0] = d.peephole[1] = d.peephole[2] = V(0);
    if constexpr (G::o) {
      d.x[o] = p.gate_backward(s.a[o], with_next(d.dh, d, 2));
      if (p.peephole) dc = multiply_add(p.p[2], d.x[o], dc), d.peephole[2] = d.x[o] * c;
    }
    dc = p.clip_backward(sum, dc);
    d.dc = stays.backward_to_value(dc);
    d.x[g] = p.in_backward(s.a[g], enters.backward_to_value(dc));
    if constexpr (G::f) {
      d.x[f] = p.gate_backward(s.a[f], with_next(stays.backward_to_gate(dc), d, 1));
      if (p.peephole) d.dc = multiply_add(p.p[1], d.x[f], d.dc), d.peephole[1] = d.x[f] * s.c_prev;
    }
    if constexpr (G::i) {
      d.x[i] =
          p.gate_backward(s.a[i], with_next(G::coupled ? dc * (s.a[g] - s.c_prev) : enters.backward_to_gate(dc), d, 0));
      if (p.peephole) d.dc = multiply_add(p.p[0], d.x[i], d.dc), d.peephole[0] = d.x[i] * s.c_prev;
    }
    d.dh_prev = V(0);
  }
};

using Lstm = LstmCell<AllGates, NoLstmOptions>;
template <class G>
using LstmVariant = LstmCell<G, LstmOptions>;

}  // namespace gru_native::GRU_NATIVE_ISA
