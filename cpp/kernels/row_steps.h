// Steps of one row by itself (kernels/table.h, RowSteps): sums stay in registers until they are the cell's activations.
#pragma once
#include "cells/unit.h"
#include "kernels/tile.h"

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

template <class Cell, class T>
void row_steps(const RowSteps<T>& r) {
  for (Index t = 0; t < r.steps; ++t) {
    const T* const x = r.x + t * r.x_step;
    const T* const h_prev = r.h[t % 2];
    T *const h = r.h[1 - t % 2], *const y = r.y ? r.y + t * r.y_step : nullptr;
    const Index depth = t == 0 && r.zero_state ? 0 : r.hidden;
    Index block = 0;
    for (; r.blocks - block > 4 || r.blocks - block == 3; block += 3)
      row_blocks<Cell, 3>(r, block, x, h_prev, depth, h, y);
    for (; r.blocks - block >= 2; block += 2) row_blocks<Cell, 2>(r, block, x, h_prev, depth, h, y);
    if (block < r.blocks) row_blocks<Cell, 1>(r, block, x, h_prev, depth, h, y);
  }
}

}  // namespace gru_native::GRU_NATIVE_ISA
