// Steps of any size, which can be interrupted: in parts of rows and panels. A part touches little memory, for that may
// be new, and the system then takes longer to clear its pages than we to write to them.
#pragma once
#include "engine/matrix/multiply.h"
#include "kernels/table.h"
#include "runtime/interruption.h"

namespace gru_native {

template <class T>
void skip_rows(Matrix<T>& m, Index n) {
  if (m.base) m.base += n * m.stride;
}
template <class T>
void skip_rows(Rows<T>& rows, Index n) {
  if (rows.offset) rows.offset += n;
  else if (rows.base) rows.base += n * rows.stride;
}
template <class T>
void skip_rows(Product<T>& p, Index n) {
  skip_rows(p.a, n), skip_rows(p.start, n), skip_rows(p.acc, n);
}

template <class T>
Step<T> rows_of(Step<T> s, Index begin, Index end) {
  s.rows = end - begin;
  skip_rows(s.product, begin), skip_rows(s.gates_product, begin);
  skip_rows(s.gates, begin), skip_rows(s.u, begin);
  for (Rows<const T>* rows : {&s.h_prev, &s.gates_prev}) skip_rows(*rows, begin);
  for (Rows<T>* rows : {&s.h, &s.c, &s.gates_next, &s.y}) skip_rows(*rows, begin);
  for (Matrix<T>* m : {&s.gates_prev_saved, &s.h_prev_saved, &s.c_prev_saved}) skip_rows(*m, begin);
  return s;
}

template <class T>
BackStep<T> rows_of(BackStep<T> s, Index begin, Index end) {
  s.rows = end - begin;
  skip_rows(s.dy, begin);
  for (Matrix<const T>* m : {&s.gates, &s.h_prev, &s.c_prev, &s.q, &s.dgates_next}) skip_rows(*m, begin);
  for (Matrix<T>* m : {&s.dh, &s.dc, &s.dgates_x, &s.dgates_h, &s.dgates_u, &s.dgates_r}) skip_rows(*m, begin);
  return s;
}

template <class T>
void in_step_parts(const Step<T>& step, double macs, void (*forward)(const Step<T>&)) {
  if (macs < macs_at_once) return forward(step);
  const double row = macs / static_cast<double>(step.rows);
  const Index first = step.product.panel_begin, last = step.product.panel_end;
  in_parts(0, step.rows, row, rows_at_once, [&](Index begin, Index end) {
    Step<T> part = rows_of(step, begin, end);
    in_parts(first, last, row * static_cast<double>(part.rows) / static_cast<double>(last - first), 1,
             [&](Index panel_begin, Index panel_end) {
               part.product.panel_begin = panel_begin, part.product.panel_end = panel_end;
               forward(part);
             });
  });
}

// macs: of a row.
template <class T>
void in_step_parts(const BackStep<T>& step, double macs_of_row, void (*backward)(const BackStep<T>&)) {
  if (macs_of_row * static_cast<double>(step.rows) < macs_at_once) return backward(step);
  in_parts(0, step.rows, macs_of_row, 1, [&](Index begin, Index end) { backward(rows_of(step, begin, end)); });
}

}  // namespace gru_native
