// Drives the Tree-LSTM's cell over the nodes of one height.
#pragma once
#include "cells/tree_lstm.h"
#include "kernels/step.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class T>
void tree_forward(const TreeStep<T>& s) {
  using V = CellLanes<T>;
  for (Index row = s.row_begin; row < s.row_end; ++row)
    for (Index block = s.block_begin; block < s.block_end; ++block) {
      const Index lane = block * V::size;
      GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.hidden - lane));
      T* const a = at(s.gates, row, lane * TreeLstm::slots);
      TreeUnit<V> unit;
      load_all<T>(unit.a, a);
      TreeLstm::open(unit);
      for (Index k = s.child_begin[row]; k < s.child_begin[row + 1]; ++k) {
        V f = V::load(s.forget + s.forget_at[k] + lane);
        TreeLstm::child(unit, f, V::load(at(s.c, s.child[k], lane)));
        f.store(s.forget + s.forget_at[k] + lane);
      }
      TreeLstm::close(unit);
      store_all<T>(unit.a, a);
      unit.c.store(at(s.c, row, lane));
      unit.h.store(at(s.h, row, lane));
    }
}

template <class T>
void tree_backward(const TreeBackStep<T>& s) {
  using V = CellLanes<T>;
  for (Index row = s.row_begin; row < s.row_end; ++row) {
    const T* const dh = row_at(s.dh, row);
    const T* const dh_outside = s.dh_outside.base ? row_at(s.dh_outside, row) : nullptr;
    const T* const dc_outside = s.dc_outside.base ? row_at(s.dc_outside, row) : nullptr;
    const Index children = s.child_begin[row + 1] - s.child_begin[row];
    for (Index block = s.block_begin; block < s.block_end; ++block) {
      const Index lane = block * V::size;
      const Index units = s.hidden - lane;
      GRU_NATIVE_COUNTING(units_at_hand = min(V::size, units));
      TreeUnit<V> unit;
      load_all<T>(unit.a, at(s.gates, row, lane * TreeLstm::slots));
      unit.c = V::load(at(s.c, row, lane));
      TreeUnitGradient<V> d;
      d.dh = V::load(dh + lane);
      d.dc = V::load(at(s.dc, row, lane));
      if (dh_outside) d.dh = V::load_first(dh_outside + lane, units) + d.dh;
      if (dc_outside) d.dc = V::load_first(dc_outside + lane, units) + d.dc;
      TreeLstm::close_backward(unit, d);
      TreeLstm::open_backward(unit, d);
      // Padding units may hold NaN (0 * inf); the products that follow sum over them, so they must be 0 there.
      const auto put = [units](V value, T* to) { (units < V::size ? value.first(units) : value).store(to); };
      T* const a = at(s.dgates, row, lane * TreeLstm::slots);
#pragma GCC unroll 8
      for (int slot = 0; slot < TreeLstm::slots; ++slot) put(d.a[slot], a + slot * V::size);
      V sum(T(0));
      for (Index k = s.child_begin[row]; k < s.child_begin[row + 1]; ++k) {
        const Index forget = s.forget_at[k] + lane;
        V df, dc_k;
        TreeLstm::child_backward(d, V::load(s.forget + forget), V::load(at(s.c, s.child[k], lane)), df, dc_k);
        put(df, s.dforget + forget);
        put(dc_k, at(s.dc, s.child[k], lane));
        sum = sum + df;
      }
      if (children > 0) put(sum, at(s.dforget_sum, row - s.leaves, lane));
    }
  }
}

}  // namespace gru_native::GRU_NATIVE_ISA
