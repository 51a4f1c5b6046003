// Which rows of a batch are alive at which step.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/shares.h"
#include "gru_native/layer.h"
#include "kernels/table.h"

namespace gru_native {

// Rows sorted by falling length, so that the rows alive at time t are the first `alive(t)`. Buffers that hold a row for
// each living (t, b), by time and then by row, are called compact: first(t) is where time t begins.
//
// A masked sequence is the shorter one of its other steps: these are its times here, and where the user has them is in
// a table.
struct Timeline {
  Index seq_len = 0, batch = 0, rows = 0;  // rows: the sum of all lengths
  Index user_len = 0;                      // steps of the user's arrays; seq_len, but for a mask
  std::vector<Index> order;                // user's row of each sorted row; empty: the same
  std::vector<Index> length;               // of each sorted row; empty: all seq_len
  std::vector<Index> alive_at, first_at;   // [seq_len], [seq_len + 1]; empty: all rows at all times
  std::vector<Index> step, end;            // masked: the user's step of each compact row, and of each row the length

  Timeline() = default;
  Timeline(Index seq_len, Index batch, const std::int64_t* lengths);
  // Without a mask, or without a zero in it, that of the lengths alone.
  Timeline(Index seq_len, Index batch, const std::int64_t* lengths, const Sequences<const std::uint8_t>& mask);

  // That of rows with such lengths, which do not rise and are not all 0, in the memory that this one has.
  void restart(const Index* lengths, Index batch);

  // The same rows, without a mask, each as long as f says of its length here; f must not fall.
  template <class F>
  Timeline mapped(const F& f) const {
    Timeline t;
    t.seq_len = t.user_len = f(user_len);
    t.batch = batch;
    t.rows = t.seq_len * batch;
    t.order = order;
    for (const Index n : length) t.length.push_back(f(n));
    if (t.ragged()) t.count_alive();
    return t;
  }

  bool ragged() const { return !length.empty(); }
  bool masked() const { return !end.empty(); }
  Index alive(Index t) const { return ragged() ? alive_at[t] : batch; }
  Index first(Index t) const { return ragged() ? first_at[t] : t * batch; }
  Index length_of(Index row) const { return ragged() ? length[row] : seq_len; }
  Index user_row(Index row) const { return order.empty() ? row : order[row]; }
  Index user_step(Index t, Index row) const { return masked() ? step[first(t) + row] : t; }

 private:
  void count_alive();
};

// Of the rows, those that fall to one member in some steps: about as many of their steps as fall to the others.
Share rows_of_member(const Timeline& time, Share steps, int member, int members);

// The s-th step of a direction is time s, or, in reverse, time seq_len - 1 - s: rows then come alive at their own ends.
inline Index time_of(Index seq_len, bool reverse, Index step) { return reverse ? seq_len - 1 - step : step; }

}  // namespace gru_native
