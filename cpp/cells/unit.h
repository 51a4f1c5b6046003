// What a cell sees of one block of units at one step. V is a vector of lanes; every cell is written on it.
#pragma once
#include "cells/options.h"
#include "simd/cell_lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class V, int slots>
struct Unit {
  V a[slots];       // in: pre-activations (W x + b + U h_prev); out: activations. Named by the cell's enum
  V h_prev, c_prev; // state at t-1
  V h, c;           // state at t
  V u;              // two-part steps: what the second product reads
};

template <class V, int slots>
struct UnitGradient {
  V dh;             // in: gradient of h(t), from above and from t+1
  V dc;             // in: gradient of c(t) from t+1; out: of c(t-1)
  V q;              // in, second part: gradient of u; LSTM: of c through h
  V dh_prev;        // out: what reaches h(t-1) without passing a product
  V x[slots];       // out: gradients of the pre-activations that the input product filled, in slot order
  V h[slots];       // out: of those that the recurrent product filled, where they differ from x
  V candidate;      // out, first part: of the pre-activation that the second product filled
  V gates[3];       // in, LSTM with gate recurrence: of i, f, o from t+1
  V peephole[3];    // out, LSTM with peepholes: of p_i, p_f, p_o
};

// What may differ from layer to layer without being another cell. A cell that leaves nothing open takes none.
template <class V>
struct NoOptions {
  template <class T>
  static EIGEN_ALWAYS_INLINE NoOptions load(const CellOptions<T>&, Index) {
    return {};
  }
  static constexpr bool peephole = false;
};

// Derivatives from outputs: s = sigmoid(a) has s (1 - s), t = tanh(a) has 1 - t^2.
template <class V>
EIGEN_ALWAYS_INLINE V sigmoid_slope(V s) {
  return s * (V(1) - s);
}
template <class V>
EIGEN_ALWAYS_INLINE V tanh_slope(V t) {
  return V(1) - t * t;
}

}  // namespace gru_native::GRU_NATIVE_ISA
