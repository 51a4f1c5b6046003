#include "engine/backward.h"

#include <algorithm>

#include "engine/matrices.h"
#include "engine/outer.h"

namespace gru_native {
namespace {

constexpr Index granule = 4;          // blocks: transposed panels hold four

}  // namespace

template <class T>
DirectionBackward<T>::DirectionBackward(const LayerSpec& spec, const PackedWeights<T>& weights, Index index,
                                        const Timeline& time, bool reverse, const DirectionTape<T>& tape, Arena& arena)
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
      state_(spec.state_size()),
      outputs_(spec.output_size()),
      projects_(spec.proj_size > 0) {
  const Index units = round_up(blocks_, granule) * lanes_;
  const auto stride = [](Index columns) { return padded_stride(columns, sizeof(T)); };
  const auto compact = [&](Index columns) {
    return Matrix<T>{arena.take<T>(time.rows * stride(columns)), stride(columns)};
  };
  const auto of_batch = [&](Index columns) {
    return Matrix<T>{arena.take_zeroed<T>(time.batch * stride(columns)), stride(columns)};
  };
  const bool two_parts = cell_.candidate.count > 0;
  dgates_x_ = compact(blocks_ * cell_.input.count * lanes_);
  dgates_h_ = cell_.split_gradients ? compact(blocks_ * cell_.recurrent.count * lanes_) : dgates_x_;
  if (two_parts) dgates_u_ = compact(blocks_ * lanes_);
  if (projects_) {
    const Index columns = stride(round_up(outputs_, granule * lanes_));
    dr_ = {arena.take_zeroed<T>(time.rows * columns), columns};  // its padding stays 0: it is summed over
  }
  dh_ = of_batch(units);
  if (cell_.has_c) dc_ = of_batch(units);
  if (projects_ || two_parts) q_ = of_batch(units);
  if (spec.lstm.peephole) dpeephole_ = arena.take_zeroed<T>(blocks_ * 3 * lanes_);
  const Index widest = std::max({Index(spec.hidden_size), Index(spec.input_size), spec.directions() * outputs_});
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
  kernels_.product(p);
}

template <class T>
void DirectionBackward<T>::step(const Io& io, Index t, int member, Crew& crew) {
  const Share mine = share_of(blocks_, granule, member, crew.size());
  const Share mine_state = projects_ ? share_of(divide_up(state_, lanes_), granule, member, crew.size()) : mine;
  const Index row = time_.first(t);
  BackStep<T> b{};
  b.block_begin = mine.begin;
  b.block_end = mine.end;
  b.hidden = spec_.hidden_size;
  b.rows = time_.alive(t);
  b.gates = read_only(from_row(tape_.gates, row));
  b.h_prev = read_only(from_row(tape_.h_prev, row));
  if (cell_.has_c) b.c_prev = read_only(from_row(tape_.c_prev, row));
  b.dh = dh_;
  b.dc = dc_;
  b.options = options_;
  b.dpeephole = dpeephole_;
  b.dgates_x = from_row(dgates_x_, row);
  b.dgates_h = from_row(dgates_h_, row);
  if (io.dy && io.dy_compact) b.dy = {io.dy + row * io.dy_batch, io.dy_batch, nullptr};
  else if (io.dy) b.dy = {io.dy + t * io.dy_step, io.dy_batch, io.dy_offset};

  if (projects_) {  // dr = dy + what comes back in time; dm = W_hr^T dr
    const Matrix<T> dr = from_row(dr_, row);
    const auto gather = [&](Index begin, Index end) {
      for (Index r = 0; r < b.rows; ++r) {
        const T* const dy = b.dy.base ? b.dy.base + (b.dy.offset ? b.dy.offset[r] : r * b.dy.stride) : nullptr;
        const T* const dh = dh_.base + r * dh_.stride;
        if (dy) GRU_NATIVE_EXECUTED(add, std::max(std::min(end, state_) - begin, Index(0)));
        for (Index k = begin; k < end; ++k) {
          const T back = k < state_ ? dh[k] : T(0);
          dr.base[r * dr.stride + k] = dy ? dy[k] + back : back;
        }
      }
    };
    gather(mine_state.begin * lanes_, std::min(mine_state.end * lanes_, state_));  // the dh that this member wrote
    const Share mine_p = share_of(outputs_ - state_, lanes_, member, crew.size());
    gather(state_ + mine_p.begin, state_ + mine_p.end);
    crew.barrier(member);
    transposed_product(weights_.second, dr, q_, false, b.rows, mine, t);
    b.dh = q_;
    b.dy = {};
  }
  const bool two_parts = cell_.candidate.count > 0;
  if (two_parts) b.dgates_u = from_row(dgates_u_, row);
  cell_.backward(b);
  crew.barrier(member);
  if (two_parts) {
    transposed_product(weights_.second, b.dgates_u, q_, false, b.rows, mine, t);
    b.q = read_only(q_);
    cell_.candidate_backward(b);
    crew.barrier(member);
  }
  transposed_product(weights_.recurrent, b.dgates_h, dh_, !projects_, b.rows, mine_state, t);
}

template <class T>
void DirectionBackward<T>::run(const Io& io, int member, Crew& crew) {
  const auto copy_state = [&](Matrix<T> m, const T* from, T* to, Index columns) {
    for (Index row = 0; row < time_.batch; ++row) {
      T* const at = m.base + row * m.stride;
      if (from) std::copy_n(from + time_.user_row(row) * columns, columns, at);
      if (to) std::copy_n(at, columns, to + time_.user_row(row) * columns);
    }
  };
  if (member == 0) {
    copy_state(dh_, io.dh_final, nullptr, state_);
    copy_state(dc_, io.dc_final, nullptr, spec_.hidden_size);
  }
  crew.barrier(member);
  for (Index s = time_.seq_len - 1; s >= 0; --s) step(io, time_of(time_.seq_len, reverse_, s), member, crew);
  crew.barrier(member);
  if (member == 0) {
    copy_state(dh_, nullptr, io.dh_initial, state_);
    copy_state(dc_, nullptr, io.dc_initial, spec_.hidden_size);
  }
}

template <class T>
void DirectionBackward<T>::step_back(const Io& io, Index t, Matrix<T> dx, int member, Crew& crew) {
  step(io, t, member, crew);
  const Share rows = share_of(time_.alive(t), 12, member, crew.size());
  transposed_product(weights_.input, from_row(dgates_x_, time_.first(t) + rows.begin), from_row(dx, rows.begin), false,
                     rows.end - rows.begin, {0, weights_.input.panels * weights_.input.blocks_in_panel()}, 0);
}

template <class T>
void DirectionBackward<T>::input_gradient(Matrix<T> dx, bool add, int member, int members) const {
  const Share rows = share_of(time_.rows, 12, member, members);  // 12: whole tiles
  const PackedMatrix<T>& w = weights_.input;
  transposed_product(w, from_row(dgates_x_, rows.begin), from_row(dx, rows.begin), add, rows.end - rows.begin,
                     {0, w.panels * w.blocks_in_panel()}, 0);
}

template <class T>
void DirectionBackward<T>::gate_gradients(Matrix<T> d, Slots slots, Matrix<T> x, Index columns, T* dw, T* db,
                                          T* scratch, int member, int members) const {
  const Index d_columns = blocks_ * slots.count * lanes_;
  const Outer<T> o{time_.rows, read_only(d), read_only(x), columns, dw, db};
  outer(o, share_of(d_columns, outer_granule, member, members), scratch, [&](Index column) -> Index {
    const Index vector = column / lanes_, unit = vector / slots.count * lanes_ + column % lanes_;
    if (unit >= spec_.hidden_size) return -1;
    return cell_.torch_gate[slots.first + vector % slots.count] * spec_.hidden_size + unit;
  });
}

template <class T>
Index DirectionBackward<T>::gradient_scratch(Index columns, int members) const {
  const Index gates = blocks_ * std::max(cell_.input.count, cell_.recurrent.count) * lanes_;
  const Index most = share_of(gates, outer_granule, members - 1, members).end / members + outer_granule;
  return outer_scratch<T>(std::max(std::min(gates, most), outputs_),
                          std::max({columns, outputs_, Index(spec_.hidden_size)}));
}

template <class T>
void DirectionBackward<T>::weight_gradients(Matrix<T> x, Index columns, const DirectionGradients<T>& g, T* scratch,
                                            int member, int members) const {
  gate_gradients(dgates_x_, cell_.input, x, columns, g.ih, g.bias_ih, scratch, member, members);
  gate_gradients(dgates_h_, cell_.recurrent, tape_.h_prev, state_, g.hh, g.bias_hh, scratch, member, members);
  if (cell_.candidate.count > 0)
    gate_gradients(dgates_u_, cell_.candidate, tape_.u, state_, g.hh, g.bias_hh, scratch, member, members);
  for (int gate = 0; gate < 3; ++gate)
    if (g.peephole[gate] && member == 0)
      for (Index unit = 0; unit < spec_.hidden_size; ++unit)
        g.peephole[gate][unit] = dpeephole_[((unit / lanes_) * 3 + gate) * lanes_ + unit % lanes_];
  const auto projection = [&](Index begin, Index end, T* dw) {
    const Matrix<const T> dr{dr_.base + begin, dr_.stride};
    const Outer<T> o{time_.rows, dr, read_only(tape_.u), spec_.hidden_size, dw, nullptr};
    outer(o, share_of(end - begin, outer_granule, member, members), scratch, [](Index column) { return column; });
  };
  if (g.hr) projection(0, state_, g.hr);
  if (g.hp) projection(state_, outputs_, g.hp);
}

template class DirectionBackward<float>;
template class DirectionBackward<double>;

}  // namespace gru_native
