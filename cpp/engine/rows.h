// Between the user's arrays and compact rows (engine/timeline.h).
#pragma once
#include <algorithm>

#include "engine/stack.h"

namespace gru_native {

template <class T>
void gather(const Sequences<const T>& from, Index columns, const Timeline& time, Matrix<T> to) {
  Index row = 0;
  for (Index t = 0; t < time.seq_len; ++t)
    for (Index b = 0; b < time.alive(t); ++b, ++row)
      std::copy_n(from.data + t * from.step_stride + time.user_row(b) * from.batch_stride, columns,
                  to.base + row * to.stride);
}

// Outputs past the end of a sequence.
template <class T>
void clear_past_ends(const Sequences<T>& s, Index columns, const Timeline& time) {
  if (!time.ragged() || !s.data) return;
  for (Index row = 0; row < time.batch; ++row)
    for (Index t = time.length_of(row); t < time.seq_len; ++t)
      std::fill_n(s.data + t * s.step_stride + time.user_row(row) * s.batch_stride, columns, T(0));
}

template <class T>
void scatter(Matrix<const T> from, Index columns, const Timeline& time, const Sequences<T>& to) {
  clear_past_ends(to, columns, time);
  Index row = 0;
  for (Index t = 0; t < time.seq_len; ++t)
    for (Index b = 0; b < time.alive(t); ++b, ++row)
      std::copy_n(from.base + row * from.stride, columns,
                  to.data + t * to.step_stride + time.user_row(b) * to.batch_stride);
}

}  // namespace gru_native
