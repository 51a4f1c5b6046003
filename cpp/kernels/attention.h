// Drives cells/attention.h over the positions of a memory.
#pragma once
#include "cells/attention.h"
#include "kernels/softmax.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class T>
void score_forward(const ScoreRows<T>& s) {
  using V = CellLanes<T>;
  for (Index j = 0; j < s.positions; ++j) {
    const T* const k = s.keys.base + j * s.keys.stride;
    s.e[j] = sum_row<T, 1>(row_of<T>(s.units), [&](Index at) {
      return AdditiveScore::forward(V::load(s.query + at), V::load(k + at), V::load(s.v + at));
    });
  }
}

// Units outermost: what all positions share stays in registers.
template <class T>
void score_backward(const ScoreBackRows<T>& s) {
  using V = CellLanes<T>;
  for (Index unit = 0; unit < s.units; unit += V::size) {
    GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.units - unit));
    const V q = V::load(s.query + unit), v = V::load(s.v + unit);
    V dq = V::load(s.dquery + unit), dv = V::load(s.dv + unit);
    for (Index j = 0; j < s.positions; ++j) {
      const ScoreGradient<V> d =
          AdditiveScore::backward(q, V::load(s.keys.base + j * s.keys.stride + unit), v, V(s.de[j]));
      dq = dq + d.dp;
      dv = dv + d.dv;
      T* const dk = at(s.dkeys, j, unit);
      (V::load(dk) + d.dp).store(dk);
      if (s.dp.base) d.dp.store(at(s.dp, j, unit));
    }
    dq.store(s.dquery + unit);
    dv.store(s.dv + unit);
  }
}

}  // namespace gru_native::GRU_NATIVE_ISA
