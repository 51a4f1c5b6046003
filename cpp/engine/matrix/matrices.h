// Rows of internal buffers, and products into some of them.
#pragma once
#include "engine/matrix/multiply.h"
#include "engine/matrix/panels.h"
#include "runtime/dispatch.h"
#include "runtime/interruption.h"

namespace gru_native {

inline constexpr Index whole_tiles = 12;  // rows of whole tiles, whatever the kernel: see kernels/tile.h

template <class T>
Matrix<T> from_row(Matrix<T> m, Index row) {
  return {m.base + row * m.stride, m.stride};
}
template <class T>
Matrix<const T> read_only(Matrix<T> m) {
  return {m.base, m.stride};
}
template <class T>
Rows<const T> rows_from(Matrix<T> m, Index row) {
  return {m.base + row * m.stride, m.stride, nullptr};
}
template <class T>
Rows<T> rows_of(Matrix<T> m) {
  return {m.base, m.stride, nullptr};
}
template <class T>
Rows<const T> read_only(const Rows<T>& rows) {
  return {rows.base, rows.stride, rows.offset};
}
template <class T>
Rows<T> from_column(const Rows<T>& rows, Index column) {
  return {rows.base + column, rows.stride, rows.offset};
}

template <class T>
T* row_at(const Rows<T>& rows, Index i) {
  return rows.base + (rows.offset ? rows.offset[i] : i * rows.stride);
}

// Columns of the widest panel, and rows in which whole panels may be read and written.
template <class T>
Index panel_columns() {
  return 4 * kernels_for<T>().lanes;
}
template <class T>
Index panel_stride(Index columns) {
  return padded_stride(round_up(columns, panel_columns<T>()), sizeof(T));
}
template <class T>
Matrix<T> take_matrix(Arena& arena, Index rows, Index columns) {
  return {arena.take<T>(rows * panel_stride<T>(columns)), panel_stride<T>(columns)};
}
// The caller writes its numbers, and only these: what pads the rows is 0.
template <class T>
Matrix<T> take_padded_matrix(Arena& arena, Index rows, Index columns) {
  const Matrix<T> m = take_matrix<T>(arena, rows, columns);
  for (Index row = 0; row < rows; ++row)
    std::fill(m.base + row * m.stride + columns, m.base + (row + 1) * m.stride, T(0));
  return m;
}
template <class T>
Matrix<T> take_zeroed_matrix(Arena& arena, Index rows, Index columns) {
  return {arena.take_zeroed<T>(rows * panel_stride<T>(columns)), panel_stride<T>(columns)};
}

// m = f(m), and the gradient d of y = f(a) becomes that of a, for some rows. Function: Activation or DenseActivation.
template <class T, class Function>
void activate(Function f, Matrix<T> m, Index columns, Share rows) {
  if (f == Function::identity) return;
  const Kernels<T>& kernels = kernels_for<T>();
  Progress progress;
  for (Index row = rows.begin; row < rows.end; ++row) {
    T* const at = m.base + row * m.stride;
    progress.add(macs_of_function * static_cast<double>(columns));
    kernels.activation[static_cast<int>(f)].forward(at, at, columns);
  }
}
template <class T, class Function>
void activate_backward(Function f, Matrix<T> y, Matrix<T> d, Index columns, Share rows) {
  if (f == Function::identity) return;
  const Kernels<T>& kernels = kernels_for<T>();
  Progress progress;
  for (Index row = rows.begin; row < rows.end; ++row) {
    T* const at = d.base + row * d.stride;
    progress.add(macs_of_function * static_cast<double>(columns));
    kernels.activation[static_cast<int>(f)].backward(y.base + row * y.stride, at, at, columns);
  }
}

// acc = start + a W for some rows, side by side.
template <class T>
Product<T> product_of_rows(const PackedMatrix<T>& w, Rows<const T> a, Rows<const T> start, Matrix<T> acc, Share rows) {
  Product<T> p = product_of(w, kernels_for<T>().lanes, w.gates, 0);
  p.a = a;
  p.start = start;
  p.acc = {acc.base, acc.stride, nullptr};
  p.row_begin = rows.begin;
  p.row_end = rows.end;
  return p;
}
template <class T>
void multiply(const PackedMatrix<T>& w, Rows<const T> a, Rows<const T> start, Matrix<T> acc, Share rows) {
  multiply(product_of_rows(w, a, start, acc, rows));
}

// A product, for some panels, whose `columns` go straight to the user's rows: nothing may be written beyond these. The
// panel that they do not fill goes by way of `last`, rows of one panel.
template <class T>
void multiply_to(Product<T> p, Share panels, Index columns, const Rows<T>& to, Matrix<T> last) {
  const Index width = panel_columns<T>(), whole = columns / width;
  p.acc = to;
  p.panel_begin = panels.begin;
  p.panel_end = std::min(panels.end, whole);
  if (p.panel_begin < p.panel_end) multiply(p);
  if (panels.end <= whole) return;
  p.acc = {last.base - whole * p.acc_panel_step, last.stride, nullptr};
  p.panel_begin = whole;
  p.panel_end = whole + 1;
  multiply(p);
  for (Index row = p.row_begin; row < p.row_end; ++row)
    std::copy_n(last.base + row * last.stride, columns % width, row_at(to, row) + whole * width);
}

// A product whose panels are `depth` rows of a matrix as they lie there, `columns` wide. They are read in whole panels.
template <class T>
Product<T> product_by(Matrix<const T> rows, Index depth, Index columns) {
  const Index lanes = kernels_for<T>().lanes;
  Product<T> p{};
  p.panels = rows.base;
  p.k_stride = rows.stride;
  p.panel_stride = p.acc_panel_step = panel_columns<T>();
  p.panel_end = divide_up(columns, p.panel_stride);
  p.width = 4;
  p.depth = depth;
  p.a_k_stride = 1;
  for (int v = 0; v < p.width; ++v) p.acc_vector[v] = v * lanes;
  GRU_NATIVE_COUNTING(p.needed.columns_end = columns);
  return p;
}

}  // namespace gru_native
