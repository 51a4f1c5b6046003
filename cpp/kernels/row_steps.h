// Steps of one row by itself (kernels/table.h, RowSteps): sums stay in registers until they are the cell's activations.
#pragma once
#include "cells/unit.h"
#include "kernels/product.h"

namespace gru_native::GRU_NATIVE_ISA {

// Blocks [block, block + P) of one step. depth: of U h-.
template <class Cell, int P, class T>
EIGEN_ALWAYS_INLINE void row_blocks(const RowSteps<T>& r, Index block, const T* x, const T* h_prev, Index depth, T* h,
                                    T* y) {
  using V = Lanes<T>;
  constexpr int width = Cell::input.count, slots = Cell::slots;
  static_assert(Cell::recurrent.count == width && (width == 3 || width == 4), "one block is one panel");
  const T* const bias = r.bias + block * slots * V::size;
  V a[P][slots];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
    for (int s = 0; s < slots; ++s) a[p][s] = V::load(bias + (p * slots + s) * V::size);

  const auto add = [&](Slots filled, const T* panels, const T* row, Index k) {
    const Index panel_stride = k * width * V::size;
    V sum[1][P * width];
#pragma GCC unroll 16
    for (int i = 0; i < P * width; ++i) sum[0][i] = a[i / width][filled.first + i % width];
    tile<Full<T>, 1, P, width>(sum, {row}, panels + block * panel_stride, panel_stride, PackedStrides<Full<T>, width>(),
                               k);
#pragma GCC unroll 16
    for (int i = 0; i < P * width; ++i) a[i / width][filled.first + i % width] = sum[0][i];
  };
  add(Cell::input, r.input, x, r.inputs);
  if (depth > 0) add(Cell::recurrent, r.recurrent, h_prev, depth);

#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    const Index lane = (block + p) * V::size;
    Unit<V, slots> unit;
#pragma GCC unroll 8
    for (int s = 0; s < slots; ++s) unit.a[s] = a[p][s];
    if constexpr (Cell::uses_h_prev) unit.h_prev = V::load(h_prev + lane);
    if constexpr (Cell::has_c) unit.c_prev = V::load(r.c + lane);
    Cell::forward(unit, typename Cell::template OptionsOf<V>{});
    if constexpr (Cell::has_c) unit.c.store(r.c + lane);
    unit.h.store(h + lane);
    if (y) unit.h.store_first(y + lane, r.hidden - lane);
  }
}

// f(x, h_prev, depth, h, y, turn) for each step.
template <class T, class F>
EIGEN_ALWAYS_INLINE void each_row_step(const RowSteps<T>& r, const F& f) {
  T *from = r.h[r.turn], *to = r.h[1 - r.turn], *y = r.y;
  const T* x = r.x;
  const Index y_step = y ? r.y_step : 0;
  Index depth = r.zero_state ? 0 : r.hidden;
  int turn = r.turn;
  for (Index left = r.steps; left > 0; --left) {
    f(x, from, depth, to, y, turn);
    depth = r.hidden;
    x += r.x_step, y += y_step, turn = 1 - turn;
    T* const was = from;
    from = to, to = was;
  }
}

// Of so few blocks that all are at work at once, or of any number.
template <class Cell, int P, class T>
void row_steps_at_once(const RowSteps<T>& r) {
  each_row_step(r, [&](const T* x, const T* h_prev, Index depth, T* h, T* y, int) {
    row_blocks<Cell, P>(r, 0, x, h_prev, depth, h, y);
  });
}
template <class Cell, class T>
void row_steps(const RowSteps<T>& r) {
  static_assert(single_row_panels == 3);
  if (r.blocks == 1) return row_steps_at_once<Cell, 1>(r);
  if (r.blocks == 2) return row_steps_at_once<Cell, 2>(r);
  if (r.blocks == 3) return row_steps_at_once<Cell, 3>(r);
  const Index groups = (r.blocks + single_row_panels - 1) / single_row_panels;
  each_row_step(r, [&](const T* x, const T* h_prev, Index depth, T* h, T* y, int turn) {
    for (Index i = 0; i < groups; ++i) {
      const Cut cut = cut_of(r.blocks, groups, turn ? groups - 1 - i : i);
      if (cut.end - cut.begin == 2) row_blocks<Cell, 2>(r, cut.begin, x, h_prev, depth, h, y);
      else row_blocks<Cell, 3>(r, cut.begin, x, h_prev, depth, h, y);
    }
  });
}

}  // namespace gru_native::GRU_NATIVE_ISA
