// Drives layer normalisation over rows [block][count][lane]. The sums of a row run in one order, whoever makes them,
// and leave out its padding, which is 0 in every result.
#pragma once
#include "cells/layer_norm.h"
#include "kernels/step.h"

namespace gru_native::GRU_NATIVE_ISA {

struct RowShape {
  Index blocks, hidden;
  GRU_NATIVE_COUNTING(bool counts = true;)  // members that share a row's blocks all make its sums: one counts them
};

// f with the number of vectors in a block, 1 to 4, as a constant: a row's sums then stay in registers.
template <int n>
struct Count {
  static constexpr int value = n;
};
template <class F>
EIGEN_ALWAYS_INLINE void with_count(int count, const F& f) {
  switch (count) {
    case 1: return f(Count<1>{});
    case 2: return f(Count<2>{});
    case 3: return f(Count<3>{});
    default: return f(Count<max_slots>{});
  }
}

// Sum over a row of f(offset of a vector), only of units that exist.
template <class T, int count, class F>
EIGEN_ALWAYS_INLINE T sum_row(const RowShape& shape, const F& f) {
  using V = CellLanes<T>;
  V sums[max_slots] = {V(T(0)), V(T(0)), V(T(0)), V(T(0))};
  const Index whole = shape.hidden / V::size;
  Index at = 0;
  for (Index block = 0; block < whole; ++block)
#pragma GCC unroll 4
    for (int k = 0; k < count; ++k, at += V::size) {
      GRU_NATIVE_COUNTING(units_at_hand = shape.counts ? V::size : 0);
      sums[k] = sums[k] + f(at);
    }
  if (whole < shape.blocks)
#pragma GCC unroll 4
    for (int k = 0; k < count; ++k, at += V::size) {
      GRU_NATIVE_COUNTING(units_at_hand = shape.counts ? shape.hidden % V::size : 0);
      sums[k] = sums[k] + f(at).first(shape.hidden % V::size);
    }
  GRU_NATIVE_COUNTING(units_at_hand = 0);  // the terms have been counted
  return first_of(sum_of_lanes((sums[0] + sums[1]) + (sums[2] + sums[3])));
}

template <class T, int count>
EIGEN_ALWAYS_INLINE LayerNorm<CellLanes<T>> statistics(const T* a, const RowShape& shape, T eps = T(1e-5)) {
  using V = CellLanes<T>;
  const T n = static_cast<T>(shape.hidden * count);
  const V mean(sum_row<T, count>(shape, [&](Index at) { return V::load(a + at); }) / n);
  const T squares = sum_row<T, count>(shape, [&](Index at) {
    const V d = V::load(a + at) - mean;
    return d * d;
  });
  GRU_NATIVE_EXECUTED(divide, 2 * shape.counts);
  GRU_NATIVE_COUNTING(units_at_hand = shape.counts);
  return {mean, LayerNorm<V>::scale_of(V(squares / n), V(eps))};
}

template <class V>
EIGEN_ALWAYS_INLINE V only_units(V value, Index units) {
  return units < V::size ? value.first(units) : value;
}

// Whole rows in place.
template <class T>
void norm_rows(const NormRows<T>& s) {
  using V = CellLanes<T>;
  const RowShape shape{s.blocks, s.hidden};
  with_count(s.count, [&](auto count) {
    for (Index row = s.row_begin; row < s.row_end; ++row) {
      T* a = at(s.a, row, 0);
      const LayerNorm<V> norm = statistics<T, count.value>(a, shape, s.eps);
      for (Index block = 0; block < s.blocks; ++block)
#pragma GCC unroll 4
        for (int k = 0; k < count.value; ++k, a += V::size) {
          GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.hidden - block * V::size));
          only_units(norm.forward(V::load(a)), s.hidden - block * V::size).store(a);
        }
      if (s.scale) s.scale[row] = first_of(norm.scale);
    }
  });
}

// a = bias + gain_x x + gain_h h, where h is normalised here and only some of its blocks are kept.
template <class T>
void norm_gates(const NormGates<T>& s) {
  using V = CellLanes<T>;
  RowShape shape{s.blocks, s.hidden};
  GRU_NATIVE_COUNTING(shape.counts = s.block_begin == 0 && s.block_end > 0);
  with_count(s.recurrent.count, [&](auto count) {
    for (Index row = 0; row < s.rows; ++row) {
      const LayerNorm<V> norm = statistics<T, count.value>(at(s.h, row, 0), shape);
      if (s.scale_saved && s.block_begin == 0) s.scale_saved[row] = first_of(norm.scale);
      for (Index block = s.block_begin; block < s.block_end; ++block) {
        const Index lane = block * V::size;
        GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.hidden - lane));
        for (int slot = 0; slot < s.slots; ++slot) {
          V a = V::load(s.bias + lane * s.slots + slot * V::size);
          if (const int k = slot - s.input.first; k >= 0 && k < s.input.count) {
            const Index column = lane * s.input.count + k * V::size;
            a = multiply_add(V::load(s.gain_x + column), V::load(at(s.x, row, column)), a);
          }
          if (const int k = slot - s.recurrent.first; k >= 0 && k < count.value) {
            const Index column = lane * count.value + k * V::size;
            const V y = only_units(norm.forward(V::load(at(s.h, row, column))), s.hidden - lane);
            if (s.h_saved.base) y.store(at(s.h_saved, row, column));
            a = multiply_add(V::load(s.gain_h + column), y, a);
          }
          a.store(at(s.gates, row, lane * s.slots + slot * V::size));
        }
      }
    }
  });
}

// The gradients of some blocks of what was normalised, and the sums for gains and biases, which rows add to in order.
template <class T>
void norm_backward(const NormBack<T>& s) {
  using V = CellLanes<T>;
  RowShape shape{s.blocks, s.hidden};
  GRU_NATIVE_COUNTING(shape.counts = s.block_begin == 0 && s.block_end > 0);
  const T n = static_cast<T>(s.hidden * s.count);
  with_count(s.count, [&](auto count) {
    for (Index row = 0; row < s.rows; ++row) {
      const T *const d = at(s.d, row, 0), *const y = at(s.y, row, 0);
      const auto dy = [&](Index at) { return V::load(d + at) * V::load(s.gain + at); };
      LayerNormGradient<V> norm;
      norm.scale = V(s.scale[row]);
      norm.mean = V(sum_row<T, count.value>(shape, [&](Index at) { return dy(at); }) / n);
      GRU_NATIVE_EXECUTED(divide, 2 * shape.counts);
      norm.along = V(sum_row<T, count.value>(shape, [&](Index at) { return dy(at) * V::load(y + at); }) / n);
      for (Index block = s.block_begin; block < s.block_end; ++block) {
        GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.hidden - block * V::size));
        Index at_k = block * count.value * V::size;
#pragma GCC unroll 4
        for (int k = 0; k < count.value; ++k, at_k += V::size) {
          const V y_k = V::load(y + at_k), d_k = V::load(d + at_k);
          only_units(norm.backward(y_k, dy(at_k)), s.hidden - block * V::size).store(at(s.da, row, at_k));
          if (s.dgain) multiply_add(d_k, y_k, V::load(s.dgain + at_k)).store(s.dgain + at_k);
          if (s.dbias) (V::load(s.dbias + at_k) + d_k).store(s.dbias + at_k);
        }
      }
    }
  });
}

// The output of a cell whose c is normalised on its way out: n = gain c' + bias.
template <class Cell, class T>
void output_forward(const OutputStep<T>& s) {
  using V = CellLanes<T>;
  using Options = typename Cell::template OptionsOf<V>;
  for (Index row = 0; row < s.rows; ++row) {
    RowShape shape{s.blocks, s.hidden};
    GRU_NATIVE_COUNTING(shape.counts = s.block_begin == 0 && s.block_end > 0);
    const LayerNorm<V> norm = statistics<T, 1>(at(s.c, row, 0), shape);
    if (s.scale_saved && s.block_begin == 0) s.scale_saved[row] = first_of(norm.scale);
    T* const y = s.y.base ? row_at(s.y, row) : nullptr;
    for (Index block = s.block_begin; block < s.block_end; ++block) {
      const Index lane = block * V::size;
      GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.hidden - lane));
      Unit<V, Cell::slots> unit;
      load_all<T>(unit.a, at(s.gates, row, lane * Cell::slots));
      const V c = only_units(norm.forward(V::load(at(s.c, row, lane))), s.hidden - lane);
      if (s.c_saved.base) c.store(at(s.c_saved, row, lane));
      const V n = multiply_add(V::load(s.gain + lane), c, V::load(s.bias + lane));
      Cell::output_forward(unit, n, Options::load(s.options, block));
      unit.h.store(at(s.h, row, lane));
      if (y) unit.h.store_first(y + lane, s.hidden - lane);
    }
  }
}

// From dh + dy: the gradients of n, and (in place of dh) of the output gate.
template <class Cell, class T>
void output_backward(const OutputBackStep<T>& s) {
  using V = CellLanes<T>;
  using Options = typename Cell::template OptionsOf<V>;
  for (Index row = 0; row < s.rows; ++row) {
    const T* const dy = s.dy.base ? row_at(s.dy, row) : nullptr;
    for (Index block = s.block_begin; block < s.block_end; ++block) {
      const Index lane = block * V::size, units = s.hidden - lane;
      GRU_NATIVE_COUNTING(units_at_hand = min(V::size, units));
      Unit<V, Cell::slots> unit;
      UnitGradient<V, Cell::slots> d;
      load_all<T>(unit.a, at(s.gates, row, lane * Cell::slots));
      d.dh = V::load(at(s.dh, row, lane));
      if (dy) d.dh = V::load_first(dy + lane, units) + d.dh;
      const V n = multiply_add(V::load(s.gain + lane), V::load(at(s.c, row, lane)), V::load(s.bias + lane));
      Cell::output_backward(unit, n, d, Options::load(s.options, block));
      only_units(d.dh, units).store(at(s.dh, row, lane));
      only_units(d.q, units).store(at(s.dn, row, lane));
    }
  }
}

}  // namespace gru_native::GRU_NATIVE_ISA
