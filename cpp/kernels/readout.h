// Drives cells/readout.h over rows.
#pragma once
#include "cells/readout.h"
#include "kernels/step.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class Cell, class T>
void readout_forward(const ReadoutRows<T>& s) {
  using V = CellLanes<T>;
  for (Index row = s.begin; row < s.end; ++row)
    for (Index unit = 0; unit < s.outputs; unit += V::size) {
      GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.outputs - unit));
      T* const a = at(s.a, row, unit);
      ReadoutUnit<V> u;
      u.f = V::load(a);
      u.g = V::load(a + s.units);
      Cell::forward(u);
      u.f.store(a);
      u.g.store(a + s.units);
      u.p.store(at(s.p, row, unit));
    }
}

// p: its gradient. What a held goes over into its gradient.
template <class Cell, class T>
void readout_backward(const ReadoutRows<T>& s) {
  using V = CellLanes<T>;
  for (Index row = s.begin; row < s.end; ++row)
    for (Index unit = 0; unit < s.outputs; unit += V::size) {
      GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.outputs - unit));
      T* const a = at(s.a, row, unit);
      ReadoutUnit<V> u;
      u.f = V::load(a);
      u.g = V::load(a + s.units);
      u.dp = V::load(at(s.p, row, unit));
      Cell::backward(u);
      u.df.store(a);
      u.dg.store(a + s.units);
    }
}

}  // namespace gru_native::GRU_NATIVE_ISA
