// The innermost loop of everything: a tile of R rows by C vectors of columns stays in registers while k runs. What a
// weight is, is the business of its Form: Full here, for numbers as they are, and those of few bits in simd/dot.h.
#pragma once
#include "kernels/table.h"
#include "simd/lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

// Rows and panels that fill the registers with sums, leaving room for the operands.
#if defined(__AVX512F__) || defined(__aarch64__)
template <int width>
inline constexpr int tile_rows = 12;
template <>
inline constexpr int tile_rows<3> = 8;
template <>
inline constexpr int tile_rows<4> = 6;
#else
template <int width>
inline constexpr int tile_rows = 12 / width;
template <>
inline constexpr int tile_rows<1> = 8;
#endif
// One row alone takes several panels at once: independent sums hide the latency of the multiply-add.
inline constexpr int single_row_panels = 3;

template <class T>
struct Full {
  static constexpr Index group = 1;  // k in a lane
  static constexpr bool integer = false;
  static constexpr int operand_registers = 1;
  using Number = T;  // of the product
  using Sum = Lanes<T>;
  using Activation = T;
  using Weight = T;                  // what a lane holds
  using Operand = Lanes<T>;
  static EIGEN_ALWAYS_INLINE Lanes<T> load(const T* w) { return Lanes<T>::load(w); }
  static EIGEN_ALWAYS_INLINE Lanes<T> operand(const T* a) { return Lanes<T>(*a); }
  static EIGEN_ALWAYS_INLINE Lanes<T> add(Lanes<T> sum, Lanes<T> a, Lanes<T> w) { return multiply_add(a, w, sum); }
};

// How far apart the operands of consecutive groups of k lie. Packed: rows contiguous, panels without gaps.
template <class Form, int width>
struct PackedStrides {
  static constexpr Index a = Form::group, panel = width * Lanes<typename Form::Number>::size;
};
struct RuntimeStrides {
  Index a, panel;
};

// sum += a w for one group of k. `at`: where it lies in the rows.
template <class Form, int R, int C, int width, class Sum, class Activation, class Weight>
EIGEN_ALWAYS_INLINE void add_group(Sum (&sum)[R][C], const Activation* const* row, Index at,
                                   const Weight* const* column) {
  constexpr Index lanes = Lanes<typename Form::Number>::size;
  // Hold the side that takes fewer registers and pass the other one by, else the sums spill.
  if constexpr (R * Form::operand_registers <= C) {
    typename Form::Operand x[R];
#pragma GCC unroll 32
    for (int r = 0; r < R; ++r) x[r] = Form::operand(row[r] + at);
#pragma GCC unroll 32
    for (int c = 0; c < C; ++c) {
      const auto y = Form::load(column[c / width] + c % width * lanes);
#pragma GCC unroll 32
      for (int r = 0; r < R; ++r) sum[r][c] = Form::add(sum[r][c], x[r], y);
    }
  } else {
    decltype(Form::load(column[0])) y[C];
#pragma GCC unroll 32
    for (int c = 0; c < C; ++c) y[c] = Form::load(column[c / width] + c % width * lanes);
#pragma GCC unroll 32
    for (int r = 0; r < R; ++r) {
      const typename Form::Operand x = Form::operand(row[r] + at);
#pragma GCC unroll 32
      for (int c = 0; c < C; ++c) sum[r][c] = Form::add(sum[r][c], x, y[c]);
    }
  }
}

// R rows, P panels of `width` vectors each: sum += a w for all groups of k.
template <class Form, int R, int P, int width, class Sum, class Strides>
EIGEN_ALWAYS_INLINE void tile(Sum (&sum)[R][P * width], const typename Form::Activation* const (&row)[R],
                              const typename Form::Weight* panel, Index panel_stride, Strides strides, Index groups) {
  constexpr int C = P * width;
  const typename Form::Weight* column[P];
#pragma GCC unroll 32
  for (int p = 0; p < P; ++p) column[p] = panel + p * panel_stride;

  for (Index g = 0; g < groups; ++g) {
    add_group<Form, R, C, width>(sum, row, g * strides.a, column);
#pragma GCC unroll 32
    for (int p = 0; p < P; ++p) column[p] += strides.panel;
  }
}

// Of so few k that a step of a small layer waits for the chain of its multiply-adds (Product::sums): the sums go on
// over even k, others begin at 0 over odd k, and both are added.
template <class T, int width>
struct EverySecond {
  static constexpr Index a = 2, panel = 2 * width * Lanes<T>::size;
};
template <int P, int width, int R, class T>
EIGEN_ALWAYS_INLINE void tile_in_two_sums(Lanes<T> (&sum)[R][P * width], const T* const (&row)[R], const T* panel,
                                          Index panel_stride, Index depth) {
  constexpr EverySecond<T, width> strides;
  tile<Full<T>, R, P, width>(sum, row, panel, panel_stride, strides, (depth + 1) / 2);
  if (depth < 2) return;
  Lanes<T> odd[R][P * width];
  const T* second[R];
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r) {
    second[r] = row[r] + 1;
#pragma GCC unroll 32
    for (int c = 0; c < P * width; ++c) odd[r][c] = Lanes<T>(T(0));
  }
  tile<Full<T>, R, P, width>(odd, second, panel + width * Lanes<T>::size, panel_stride, strides, depth / 2);
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 32
    for (int c = 0; c < P * width; ++c) sum[r][c] = sum[r][c] + odd[r][c];
}

}  // namespace gru_native::GRU_NATIVE_ISA
