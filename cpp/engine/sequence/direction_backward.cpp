#include "engine/sequence/direction_backward.h"

#include <algorithm>

#include "engine/matrix/matrices.h"
#include "engine/sequence/step_parts.h"
#include "engine/threads.h"

namespace gru_native {
namespace {

constexpr Index granule = 4;  // blocks: transposed panels hold four

}  // namespace

template <class T>
DirectionBackward<T>::DirectionBackward(const LayerSpec& spec, const PackedWeights<T>& weights, Index index,
                                        const Timeline& time, bool reverse, const DirectionTape<T>& tape, Arena& arena,
                                        const DirectionZoneout& zoneout)
    : spec_(spec),
      kernels_(kernels_for<T>()),
      cell_(kernels_.cell[cell_index(spec)]),
      weights_(weights.transposed()[static_cast<std::size_t>(index)]),
      time_(time),
      reverse_(reverse),
      tape_(tape),
      options_(cell_options(spec, weights.forward[static_cast<std::size_t>(index)])),
      lanes_(weights.lanes),
      blocks_(weights.blocks),
      state_(spec.recurrent_size()),
      outputs_(spec.output_size()),
      projects_(spec.proj_size > 0),
      has_candidate_(cell_.candidate.count > 0),
      zones_(zoneout.h.active() || zoneout.c.active()),
      zoneout_(zoneout) {
  const Index units = round_up(blocks_, granule) * lanes_;
  const auto stride = [](Index columns) { return padded_stride(columns, sizeof(T)); };
  const auto compact = [&](Index columns) {
    return Matrix<T>{arena.take<T>(time.rows * stride(columns)), stride(columns)};
  };
  const auto of_batch = [&](Index columns) {
    return Matrix<T>{arena.take_zeroed<T>(time.batch * stride(columns)), stride(columns)};
  };
  dgates_x_ = compact(blocks_ * cell_.input.count * lanes_);
  dgates_h_ = cell_.split_gradients ? compact(blocks_ * cell_.recurrent.count * lanes_) : dgates_x_;
  if (has_candidate_) dgates_u_ = compact(blocks_ * lanes_);
  if (spec.layer_norm)
    norm_.emplace(spec, weights.forward[static_cast<std::size_t>(index)], time, blocks_, tape_.norm, arena);
  if (projects_) {
    const Index columns = stride(round_up(outputs_, granule * lanes_));
    dr_ = {arena.take_zeroed<T>(time.rows * columns), columns};  // its padding stays 0: it is summed over
  }
  dh_ = of_batch(units);
  if (cell_.has_c) dc_ = of_batch(units);
  if (const Index n = spec.recurrent_gates()) {
    dgates_r_ = compact(blocks_ * cell_.recurrent_gates * lanes_);
    dgates_next_ = of_batch(round_up(n, granule * lanes_));
  }
  if (projects_ || has_candidate_) q_ = of_batch(units);
  if (spec.lstm.peephole) dpeephole_ = arena.take<T>(blocks_ * 3 * lanes_);
  const Index widest = std::max(
      {Index(spec.hidden_size), Index(spec.input_size), spec.directions() * outputs_, Index(spec.recurrent_gates())});
  if (zoneout_.h.active() && !projects_) kept_h_ = of_batch(units);
  if (zoneout_.c.active()) kept_c_ = of_batch(units);
  zeros_ = arena.take_zeroed<T>(stride(round_up(widest, granule * lanes_)));
}

// acc (+)= a W, for a share of the columns of W in blocks.
template <class T>
void DirectionBackward<T>::transposed_product(const PackedMatrix<T>& w, Matrix<T> a, Matrix<T> acc, bool add,
                                              Index rows, Share blocks, Index turn) const {
  Product<T> p = product_of(w, lanes_, 1, 0);
  p.last_panel_first = turn % 2;
  p.panel_begin = w.panel_begin(blocks.begin);
  p.panel_end = w.panel_end(blocks.end);
  p.row_end = rows;
  p.a = {a.base, a.stride, nullptr};
  p.acc = {acc.base, acc.stride, nullptr};
  if (add) p.start = {acc.base, acc.stride, nullptr};
  else p.start = {zeros_, 0, nullptr};
  multiply(p);
}

// Where the rows of time t lie.
template <class T>
BackStep<T> DirectionBackward<T>::place(const Io& io, Index t, Share blocks) const {
  const Index row = time_.first(t);
  BackStep<T> b{};
  b.block_begin = blocks.begin;
  b.block_end = blocks.end;
  b.hidden = spec_.hidden_size;
  b.rows = time_.alive(t);
  b.gates = read_only(from_row(tape_.gates, row));
  b.h_prev = read_only(from_row(tape_.h_prev, row));
  if (cell_.has_c) b.c_prev = read_only(from_row(tape_.c_prev, row));
  b.dy = io.dy.at(time_, t);
  b.dh = dh_;
  b.dc = dc_;
  b.options = options_;
  b.dpeephole = dpeephole_;
  b.dgates_next = read_only(dgates_next_);
  b.dgates_x = from_row(dgates_x_, row);
  b.dgates_h = from_row(dgates_h_, row);
  if (has_candidate_) b.dgates_u = from_row(dgates_u_, row);
  if (cell_.recurrent_gates > 0) b.dgates_r = from_row(dgates_r_, row);
  return b;
}

// dr = dy + what comes back in time; dm = W_hr^T dr is then the cell's dh.
template <class T>
void DirectionBackward<T>::projection(BackStep<T>& b, Index t, const Part& mine, Crew& crew) const {
  const Matrix<T> dr = from_row(dr_, time_.first(t) + mine.rows.begin), q = from_row(q_, mine.rows.begin);
  const auto gather = [&](Index begin, Index end) {
    for (Index r = 0; r < b.rows; ++r) {
      const T* const dy = b.dy.base ? row_at(b.dy, r) : nullptr;
      const T* const dh = b.dh.base + r * b.dh.stride;
      if (dy) GRU_NATIVE_EXECUTED(add, std::max(std::min(end, state_) - begin, Index(0)));
      for (Index k = begin; k < end; ++k) {
        const T back = k < state_ ? dh[k] : T(0);
        dr.base[r * dr.stride + k] = dy ? dy[k] + back : back;
      }
    }
  };
  const Share recurring = units_of(mine.state_blocks, lanes_, state_);
  gather(recurring.begin, recurring.end);  // the dh that this member wrote
  if (zoneout_.h.active()) zoneout_.h.backward(dr, dh_, b.rows, recurring, time_, t);  // dh: what is kept
  const Share others = share_of(outputs_ - state_, lanes_, mine.member, crew.size());
  gather(state_ + others.begin, state_ + others.end);
  crew.barrier(mine.member);
  transposed_product(weights_.second, dr, q, false, b.rows, mine.blocks, t);
  b.dh = q;
  b.dy = {};
}

// The gradients of what the cell made, before zoneout.
template <class T>
void DirectionBackward<T>::zone(BackStep<T>& b, Share units, Index t) const {
  if (zoneout_.c.active()) zoneout_.c.backward(dc_, kept_c_, b.rows, units, time_, t);
  if (!kept_h_.base) return;
  for (Index row = 0; b.dy.base && row < b.rows; ++row) {
    const T* const dy = row_at(b.dy, row);
    GRU_NATIVE_EXECUTED(add, units.end - units.begin);
    for (Index k = units.begin; k < units.end; ++k) dh_.base[row * dh_.stride + k] += dy[k];
  }
  b.dy = {};
  zoneout_.h.backward(dh_, kept_h_, b.rows, units, time_, t);
}

template <class T>
void DirectionBackward<T>::add_kept(Index rows, Share units) const {
  const auto add = [&](Matrix<T> kept, Matrix<T> d) {
    if (kept.base) GRU_NATIVE_EXECUTED(add, rows * (units.end - units.begin));
    for (Index row = 0; kept.base && row < rows; ++row)
      for (Index k = units.begin; k < units.end; ++k) d.base[row * d.stride + k] += kept.base[row * kept.stride + k];
  };
  add(kept_h_, dh_);
  add(kept_c_, dc_);
}

// q = U_n^T dn is the gradient of u = r h-; what follows from it.
template <class T>
void DirectionBackward<T>::candidate(BackStep<T>& b, Index t, const Part& mine) const {
  const Matrix<T> q = from_row(q_, mine.rows.begin);
  transposed_product(weights_.second, b.dgates_u, q, false, b.rows, mine.blocks, t);
  b.q = read_only(q);
  in_step_parts(b, macs_of_new_number * static_cast<double>((b.block_end - b.block_begin) * lanes_),
                cell_.candidate_backward);
}

// dh- += U^T da, and with gate recurrence the gradients of i- f- o- by R^T.
template <class T>
void DirectionBackward<T>::recurrent_products(const BackStep<T>& b, Index t, const Part& mine, Crew& crew) const {
  const bool add = !projects_ || zoneout_.h.active();  // else nothing is there yet
  const Index first = mine.rows.begin;
  transposed_product(weights_.recurrent, from_row(dproduct_h(), time_.first(t) + first), from_row(dh_, first), add,
                     b.rows, mine.state_blocks, t);
  if (cell_.recurrent_gates == 0) return;
  const Share columns = share_of(divide_up(spec_.recurrent_gates(), lanes_), granule, mine.member, crew.size());
  transposed_product(weights_.gates, b.dgates_r, from_row(dgates_next_, first), false, b.rows, columns, t);
  crew.barrier(mine.member);  // a unit's three columns may be another member's
}

template <class T>
typename DirectionBackward<T>::Part DirectionBackward<T>::part_of(int member, int members) const {
  const Share blocks = share_of(blocks_, granule, member, members);
  return {blocks,
          units_of(blocks, lanes_, spec_.hidden_size),
          projects_ ? share_of(divide_up(state_, lanes_), granule, member, members) : blocks,
          {0, time_.batch},
          member};
}

// As in DirectionForward. A row is one member's at every step: no barrier lies between its dh and the next step.
template <class T>
void DirectionBackward<T>::leave_rest(Part& mine, int members) const {
  if (projects_ || has_candidate_ || zones_ || norm_ || dpeephole_ || cell_.recurrent_gates > 0) return;
  const PanelShare share = share_of_panels(blocks_, granule, time_.batch, mine.member, members);
  if (share.over.begin == share.over.end) return;
  mine.blocks = mine.state_blocks = share.own;
  mine.units = units_of(mine.blocks, lanes_, spec_.hidden_size);
  mine.rest = share.over;
  mine.rest_rows = rows_of_member(time_, {0, time_.seq_len}, mine.member, members);
}

template <class T>
double DirectionBackward<T>::macs_of_row(Share blocks) const {
  return macs_of_new_number * static_cast<double>((blocks.end - blocks.begin) * lanes_ * cell_.slots);
}

template <class T>
void DirectionBackward<T>::step(const Io& io, Index t, int member, Crew& crew) {
  step(io, t, part_of(member, crew.size()), crew);
}

// The recurrence backward, in the reverse order of DirectionForward::steps. What a product reads of others' units lies
// behind a barrier.
template <class T>
void DirectionBackward<T>::step(const Io& io, Index t, const Part& mine, Crew& crew) {
  const Index row = time_.first(t);
  const int member = mine.member;
  BackStep<T> b = place(io, t, mine.blocks);
  if (b.rows <= mine.rows.begin) return;
  b = rows_of(b, mine.rows.begin, std::min(mine.rows.end, b.rows));

  if (projects_) projection(b, t, mine, crew);
  if (zones_) zone(b, mine.units, t);
  if (norm_) norm_->output(b, row, mine.blocks, member, crew);
  in_step_parts(b, macs_of_row(mine.blocks), cell_.backward);
  const Share rest{std::min(mine.rest_rows.begin, b.rows), std::min(mine.rest_rows.end, b.rows)};
  if (rest.begin < rest.end) {
    BackStep<T> others = rows_of(b, rest.begin, rest.end);
    others.block_begin = mine.rest.begin, others.block_end = mine.rest.end;
    in_step_parts(others, macs_of_row(mine.rest), cell_.backward);
  }
  crew.barrier(member);
  if (has_candidate_) {
    candidate(b, t, mine);
    crew.barrier(member);
  }
  if (norm_) {
    norm_->products(b, row, mine.blocks);
    crew.barrier(member);
  }
  if (zones_) add_kept(b.rows, mine.units);
  recurrent_products(b, t, mine, crew);
  if (rest.begin < rest.end)
    transposed_product(weights_.recurrent, from_row(dproduct_h(), row + rest.begin), from_row(dh_, rest.begin), true,
                       rest.end - rest.begin, mine.rest, t);
}

template <class T>
void DirectionBackward<T>::copy_states(const T* dh, const T* dc, T* dh_to, T* dc_to) const {
  const auto copy_state = [&](Matrix<T> m, const T* from, T* to, Index stride, Index columns) {
    Progress progress;
    for (Index row = 0; row < time_.batch; ++row) {
      progress.add(macs_of_copy * static_cast<double>(columns));
      T* const at = m.base + row * m.stride;
      if (from) std::copy_n(from + time_.user_row(row) * stride, columns, at);
      if (to) std::copy_n(at, columns, to + time_.user_row(row) * stride);
    }
  };
  const auto gates = [&](auto* of_h) { return of_h ? of_h + state_ : nullptr; };
  copy_state(dh_, dh, dh_to, spec_.state_size(), state_);
  copy_state(dgates_next_, gates(dh), gates(dh_to), spec_.state_size(), spec_.recurrent_gates());
  copy_state(dc_, dc, dc_to, spec_.hidden_size, spec_.hidden_size);
}

template <class T>
void DirectionBackward<T>::begin(const Io& io) {
  copy_states(io.dh_final, io.dc_final, nullptr, nullptr);
  if (dpeephole_) std::fill_n(dpeephole_, blocks_ * 3 * lanes_, T(0));
}

template <class T>
void DirectionBackward<T>::end(const Io& io) {
  copy_states(nullptr, nullptr, io.dh_initial, io.dc_initial);
}

template <class T>
void DirectionBackward<T>::steps(const Io& io, const Part& mine, Crew& crew) {
  Progress progress;
  const double units = static_cast<double>((mine.blocks.end - mine.blocks.begin) * lanes_);
  const double row = units * cell_.slots * (static_cast<double>(state_ + spec_.proj_size) + macs_of_function);
  for (Index s = time_.seq_len - 1; s >= 0; --s) {
    const Index t = time_of(time_.seq_len, reverse_, s);
    const Index rows = std::min(time_.alive(t), mine.rows.end) - mine.rows.begin;
    progress.add(row * static_cast<double>(std::max<Index>(rows, 0)));
    step(io, t, mine, crew);
  }
}

template <class T>
void DirectionBackward<T>::run(const Io& io, int member, Crew& crew) {
  if (member == 0) begin(io);
  crew.barrier(member);
  // Gradients of peepholes are summed over all rows in their order.
  const bool by_rows = !dpeephole_ && shares_rows(spec_, time_.batch, crew.size());
  if (by_rows || recurs_alone(spec_, time_.rows, time_.seq_len)) {
    Part mine = part_of(0, 1);
    if (by_rows) mine.rows = rows_of_member(time_, {0, time_.seq_len}, member, crew.size());
    Crew alone;
    if (by_rows || member == 0) steps(io, mine, alone);
  } else {
    Part mine = part_of(member, crew.size());
    leave_rest(mine, crew.size());
    steps(io, mine, crew);
  }
  crew.barrier(member);
  if (member == 0) end(io);
}

template <class T>
void DirectionBackward<T>::step_back(const Io& io, Index t, Matrix<T> dx, int member, Crew& crew) {
  step(io, t, member, crew);
  input_gradient_of(time_.first(t), time_.alive(t), dx, false, member, crew.size());
}

template class DirectionBackward<float>;
template class DirectionBackward<double>;

}  // namespace gru_native
