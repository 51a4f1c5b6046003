// The innermost loop of everything: a tile of R rows by C vectors of columns stays in registers while k runs.
#pragma once
#include "kernels/table.h"
#include "simd/lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

// Rows and panels that fill the registers (16, or 32 with AVX-512 and NEON) with sums, leaving room for the operands.
#if defined(__AVX512F__) || defined(__aarch64__)
template <int width>
inline constexpr int tile_rows = width == 4 ? 6 : 8;
#else
template <int width>
inline constexpr int tile_rows = width == 4 ? 3 : 4;
#endif
// One row alone takes several panels at once: independent sums hide the latency of the multiply-add.
inline constexpr int single_row_panels = 3;

// How far apart the operands of consecutive k lie. Packed: rows contiguous, panels without gaps.
template <class T, int width>
struct PackedStrides {
  static constexpr Index a = 1, panel = width * Lanes<T>::size;
};
struct RuntimeStrides {
  Index a, panel;
};

// R rows, P panels of `width` vectors each. acc_vector: where each vector's sums lie within a row.
template <class T, int R, int P, int width, class Strides>
EIGEN_ALWAYS_INLINE void tile(const T* const* a, const T* panel, Index panel_stride, Strides strides, Index depth,
                              const T* const* start, T* const* acc, const Index* acc_vector) {
  using V = Lanes<T>;
  constexpr int C = P * width;
  V sum[R][C];
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 32
    for (int c = 0; c < C; ++c) sum[r][c] = V::load(start[r] + acc_vector[c]);

  const T* row[R];
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r) row[r] = a[r];
  const T* column[P];
#pragma GCC unroll 32
  for (int p = 0; p < P; ++p) column[p] = panel + p * panel_stride;

  for (Index k = 0; k < depth; ++k) {
    // Hold the shorter side in registers and pass the longer one by, else the sums spill.
    if constexpr (R <= C) {
      V x[R];
#pragma GCC unroll 32
      for (int r = 0; r < R; ++r) x[r] = V(row[r][k * strides.a]);
#pragma GCC unroll 32
      for (int c = 0; c < C; ++c) {
        const V y = V::load(column[c / width] + (c % width) * V::size);
#pragma GCC unroll 32
        for (int r = 0; r < R; ++r) sum[r][c] = multiply_add(x[r], y, sum[r][c]);
      }
    } else {
      V y[C];
#pragma GCC unroll 32
      for (int c = 0; c < C; ++c) y[c] = V::load(column[c / width] + (c % width) * V::size);
#pragma GCC unroll 32
      for (int r = 0; r < R; ++r) {
        const V x = V(row[r][k * strides.a]);
#pragma GCC unroll 32
        for (int c = 0; c < C; ++c) sum[r][c] = multiply_add(x, y[c], sum[r][c]);
      }
    }
#pragma GCC unroll 32
    for (int p = 0; p < P; ++p) column[p] += strides.panel;
  }

#pragma GCC unroll 32
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 32
    for (int c = 0; c < C; ++c) sum[r][c].store(acc[r] + acc_vector[c]);
}

}  // namespace gru_native::GRU_NATIVE_ISA
