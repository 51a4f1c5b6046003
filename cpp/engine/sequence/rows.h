// Between the user's arrays and compact rows (engine/sequence/timeline.h).
#pragma once
#include <algorithm>

#include "engine/sequence/step_rows.h"
#include "engine/sequence/timeline.h"
#include "engine/shares.h"
#include "engine/threads.h"
#include "runtime/interruption.h"
#include "runtime/memory.h"
#include "runtime/team.h"

namespace gru_native {

// Compact row -> the user's row, for what lies as the user has it.
template <class T>
Rows<T> user_rows(const Sequences<T>& s, const Timeline& time, Arena& arena);
// Outputs, or their gradients, that lie as the user has them. Takes memory only if rows have lengths or masks.
template <class T>
StepRows<T> user_steps(const Sequences<T>& s, const Timeline& time, Arena& arena);

// f(compact row, its time, its place in the batch) for some rows of `columns` numbers that are copied.
template <class F>
void each_row(const Timeline& time, Index columns, Share rows, const F& f) {
  Progress progress;
  Index t = 0;
  for (Index row = rows.begin; row < rows.end; ++row) {
    while (time.first(t + 1) <= row) ++t;
    progress.add(macs_of_copy * static_cast<double>(columns));
    f(row, t, row - time.first(t));
  }
}
// All of them, by a team if that is worth it; or by this thread.
template <class F>
void each_row(const Timeline& time, Index columns, TeamLease* team, const F& f) {
  if (!team || useful_threads_to_copy(time.rows * columns) == 1) return each_row(time, columns, {0, time.rows}, f);
  team->run_shares([&](int rank, int members) { each_row(time, columns, share_of(time.rows, 1, rank, members), f); });
}

template <class T>
void gather(const Sequences<const T>& from, Index columns, const Timeline& time, Matrix<T> to,
            TeamLease* team = nullptr) {
  each_row(time, columns, team, [&](Index row, Index t, Index b) {
    std::copy_n(from.data + time.user_step(t, b) * from.step_stride + time.user_row(b) * from.batch_stride, columns,
                to.base + row * to.stride);
  });
}

// Outputs of steps that are masked or past the end of a sequence.
template <class T>
void clear_absent(const Sequences<T>& s, Index columns, const Timeline& time) {
  if (!time.ragged() || !s.data) return;
  for (Index row = 0; row < time.batch; ++row) {
    const auto clear = [&](Index begin, Index end) {
      for (Index step = begin; step < end; ++step)
        std::fill_n(s.data + step * s.step_stride + time.user_row(row) * s.batch_stride, columns, T(0));
    };
    Index next = 0;
    for (Index t = 0; t < time.length_of(row); ++t) {
      const Index present = time.user_step(t, row);
      clear(next, present);
      next = present + 1;
    }
    clear(next, time.user_len);
  }
}

// each(t, row, held, step): at the user's masked `step` that direction's output is still the one of step `held`, which
// is time t of the sorted row. Of one t nearest first.
template <class F>
void each_held(const Timeline& time, bool reverse, F each) {
  if (!time.masked()) return;
  for (Index row = 0; row < time.batch; ++row) {
    const Index length = time.length_of(row);
    for (Index t = 0; t < length; ++t) {
      const Index held = time.user_step(t, row);
      const Index end = t + 1 < length ? time.user_step(t + 1, row) : time.end[row];
      const Index before = t > 0 ? time.user_step(t - 1, row) : -1;
      if (reverse)
        for (Index step = held - 1; step > before; --step) each(t, row, held, step);
      else
        for (Index step = held + 1; step < end; ++step) each(t, row, held, step);
    }
  }
}

// y at masked steps. `columns`: of one direction.
template <class T>
void hold(const Sequences<T>& y, Index columns, Index directions, const Timeline& time) {
  if (!y.data) return;
  for (Index d = 0; d < directions; ++d)
    each_held(time, d == 1, [&](Index, Index row, Index held, Index step) {
      T* const at = y.data + time.user_row(row) * y.batch_stride + d * columns;
      std::copy_n(at + held * y.step_stride, columns, at + step * y.step_stride);
    });
}

// The gradient of what was computed, from dy, the gradient of what `hold` made of it.
template <class T>
void gather_held(const Sequences<const T>& dy, Index columns, Index directions, const Timeline& time, Matrix<T> to) {
  gather(dy, directions * columns, time, to);
  for (Index d = 0; d < directions; ++d)
    each_held(time, d == 1, [&](Index t, Index row, Index, Index step) {
      const T* const from = dy.data + step * dy.step_stride + time.user_row(row) * dy.batch_stride + d * columns;
      T* const sum = to.base + (time.first(t) + row) * to.stride + d * columns;
      for (Index k = 0; k < columns; ++k) sum[k] += from[k];
    });
}

template <class T>
void scatter(Matrix<const T> from, Index columns, const Timeline& time, const Sequences<T>& to,
             TeamLease* team = nullptr) {
  clear_absent(to, columns, time);
  each_row(time, columns, team, [&](Index row, Index t, Index b) {
    std::copy_n(from.base + row * from.stride, columns,
                to.data + time.user_step(t, b) * to.step_stride + time.user_row(b) * to.batch_stride);
  });
}

}  // namespace gru_native
