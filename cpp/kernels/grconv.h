// Drives cells/grconv.h over pairs of neighbouring rows.
#pragma once
#include "cells/grconv.h"
#include "kernels/step.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class T>
EIGEN_ALWAYS_INLINE GrConvGates<CellLanes<T>> load_gates(const T* a) {
  return {CellLanes<T>(a[0]), CellLanes<T>(a[1]), CellLanes<T>(a[2])};
}
template <class T>
EIGEN_ALWAYS_INLINE void store_gates(const GrConvGates<CellLanes<T>>& w, T* a) {
  w.c.store_first(a, 1);
  w.l.store_first(a + 1, 1);
  w.r.store_first(a + 2, 1);
}

template <class Cell, class T>
void grconv_forward(const GrConvStep<T>& s) {
  using V = CellLanes<T>;
  for (Index pair = s.begin; pair < s.end; ++pair) {
    const Index left = s.left[pair];
    T* const gates = at(s.a, left, s.units);
    GRU_NATIVE_COUNTING(units_at_hand = 1);
    const GrConvGates<V> w = Cell::gates(load_gates(gates));
    store_gates(w, gates);
    for (Index unit = 0; unit < s.hidden; unit += V::size) {
      GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.hidden - unit));
      GrConvUnit<V> p;
      p.n = V::load(at(s.a, left, unit));
      p.left = V::load(at(s.below, left, unit));
      p.right = V::load(at(s.below, left + 1, unit));
      Cell::forward(w, p);
      p.n.store(at(s.a, left, unit));
      const Index units = s.hidden - unit;  // the padding of h stays 0: sums run over it
      (units < V::size ? p.h.first(units) : p.h).store(at(s.above, pair, unit));
    }
  }
}

template <class Cell, class T>
void grconv_backward(const GrConvBackStep<T>& s) {
  using V = CellLanes<T>;
  for (Index pair = s.begin; pair < s.end; ++pair) {
    const Index left = s.left[pair];
    const GrConvGates<V> w = load_gates(at(s.a, left, s.units));
    GrConvGates<V> dw{V(T(0)), V(T(0)), V(T(0))};
    for (Index unit = 0; unit < s.hidden; unit += V::size) {
      const Index units = s.hidden - unit;
      GRU_NATIVE_COUNTING(units_at_hand = min(V::size, units));
      GrConvUnit<V> p;
      GrConvUnitGradient<V> d;
      p.n = V::load(at(s.a, left, unit));
      p.left = V::load(at(s.below, left, unit));
      p.right = V::load(at(s.below, left + 1, unit));
      d.dh = V::load_first(at(s.dabove, pair, unit), units);
      Cell::backward(w, p, d, dw);
      (units < V::size ? d.n.first(units) : d.n).store(at(s.da, left, unit));
      d.left.store(at(s.dneighbours, left, unit));
      d.right.store(at(s.dneighbours, left, s.right_at + unit));
    }
    const GrConvGates<V> sums{sum_of_lanes(dw.c), sum_of_lanes(dw.l), sum_of_lanes(dw.r)};
    GRU_NATIVE_COUNTING(units_at_hand = 1);
    store_gates(Cell::gates_backward(w, sums), at(s.da, left, s.units));
  }
}

}  // namespace gru_native::GRU_NATIVE_ISA
