#include "engine/sequence/direction_forward.h"

#include <algorithm>
#include <cstring>

#include "engine/matrix/matrices.h"

namespace gru_native {
namespace {
inline void prefetch_to_write(void* p) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" ::"m"(*static_cast<char*>(p)));
#else
  __builtin_prefetch(p, 1);
#endif
}
constexpr Index chunk_bytes = 1024 * 1024;  // of pre-activations between the input product and the steps
}  // namespace

template <class T>
DirectionForward<T>::DirectionForward(const LayerSpec& spec, const PackedWeights<T>& weights,
                                      const PackedDirection<T>& direction, const Timeline& time, bool reverse,
                                      Index longest, DirectionTape<T>* tape, Arena& arena,
                                      const DirectionZoneout& zoneout)
    : spec_(spec),
      kernels_(kernels_for<T>()),
      cell_(kernels_.cell[cell_index(spec)]),
      weights_(direction),
      time_(time),
      reverse_(reverse),
      tape_(tape),
      lanes_(weights.lanes),
      blocks_(weights.blocks),
      state_(spec.recurrent_size()),
      outputs_(spec.output_size()),
      projects_(spec.proj_size > 0),
      input_(product_of(weights_.input, lanes_, cell_.slots, cell_.input.first)),
      zoneout_(zoneout) {
  if (projects_) second_ = product_of(weights_.second, lanes_, 1, 0);
  else if (cell_.candidate.count > 0) second_ = product_of(weights_.second, lanes_, cell_.slots, cell_.candidate.first);
  granule_ = std::max(weights_.input.blocks_in_panel(), weights_.recurrent.blocks_in_panel());
  if (weights_.second.panels > 0) granule_ = std::max(granule_, weights_.second.blocks_in_panel());

  const Index units = round_up(blocks_, granule_) * lanes_;
  gates_at_ = std::max(units, round_up(outputs_, 4 * lanes_));
  const Index state_stride = padded_stride(gates_at_ + spec.recurrent_gates(), sizeof(T));
  const Index unit_stride = padded_stride(units, sizeof(T));
  const Index gates_stride = padded_stride(units * cell_.slots, sizeof(T));
  chunk_steps_ = std::max<Index>(1, chunk_bytes / (time.batch * gates_stride * static_cast<Index>(sizeof(T))));
  const auto matrix = [&](Index rows, Index stride) { return Matrix<T>{arena.take<T>(rows * stride), stride}; };
  const auto zeroed = [&](Index rows, Index stride) { return Matrix<T>{arena.take_zeroed<T>(rows * stride), stride}; };
  for (Matrix<T>& h : h_) h = zeroed(time.batch, state_stride);
  if (cell_.has_c) c_ = zeroed(time.batch, unit_stride);
  if (zoneout_.c.active()) c_before_ = zeroed(time.batch, unit_stride);
  zeros_ = zeroed(1, state_stride).base;
  const bool has_u = projects_ || cell_.candidate.count > 0;
  if (tape_) {
    tape_->gates = gates_ = matrix(time.rows, gates_stride);
    tape_->h_prev = matrix(time.rows, state_stride);
    if (cell_.has_c) tape_->c_prev = matrix(time.rows, unit_stride);
    if (cell_.recurrent_gates > 0)
      tape_->gates_prev = matrix(time.rows, padded_stride(spec.recurrent_gates(), sizeof(T)));
    if (has_u) tape_->u = u_ = matrix(time.rows, unit_stride);
  } else {
    gates_ = matrix(std::min(chunk_steps_, longest) * time.batch, gates_stride);
    if (has_u) u_ = matrix(time.batch, unit_stride);
  }

  if (spec.layer_norm)
    norm_.emplace(spec, weights_, time, blocks_, tape_ ? time.rows : std::min(chunk_steps_, longest) * time.batch,
                  tape_ ? &tape_->norm : nullptr, arena);

  step_.product = product_of(weights_.recurrent, lanes_, cell_.slots, cell_.recurrent.first);
  step_.blocks_in_panel = weights_.recurrent.blocks_in_panel();
  if (cell_.recurrent_gates > 0) step_.gates_product = product_of(weights_.gates, lanes_, cell_.slots, 0);
  step_.hidden = spec.hidden_size;
  step_.c = c_;
  step_.options = cell_options(spec, weights_);
  step_.save = tape_ != nullptr;
}

// Rows that are not alive yet, or have no step at all, must find their initial state in either buffer.
template <class T>
void DirectionForward<T>::load_state(const T* h0, const T* c0) {
  const auto load = [&](Matrix<T> to, const T* from, Index from_stride, Index columns) {
    for (Index row = 0; row < time_.batch; ++row) {
      T* const at = to.base + row * to.stride;
      if (from) std::copy_n(from + time_.user_row(row) * from_stride, columns, at);
      else std::fill_n(at, columns, T(0));
    }
  };
  for (const Matrix<T>& h : h_) {
    load(h, h0, spec_.state_size(), state_);
    load({h.base + gates_at_, h.stride}, h0 ? h0 + state_ : nullptr, spec_.state_size(), spec_.recurrent_gates());
  }
  zero_state_ = !h0;
  if (cell_.has_c) load(c_, c0, spec_.hidden_size, spec_.hidden_size);
}

template <class T>
void DirectionForward<T>::store_state(T* h_out, T* c_out) const {
  for (Index row = 0; row < time_.batch; ++row) {
    const Index user = time_.user_row(row);
    const Index last = phase_ - (reverse_ ? 0 : time_.seq_len - time_.length_of(row));
    const Matrix<T>& h = h_[last % 2];  // where its last step wrote
    if (h_out) {
      T* const to = h_out + user * spec_.state_size();
      std::copy_n(h.base + row * h.stride, state_, to);
      std::copy_n(h.base + row * h.stride + gates_at_, spec_.recurrent_gates(), to + state_);
    }
    if (c_out && cell_.has_c)
      std::copy_n(c_.base + row * c_.stride, spec_.hidden_size, c_out + user * spec_.hidden_size);
  }
}

// gates = bias + W x for some rows.
template <class T>
void DirectionForward<T>::input_product(Rows<const T> x, Index rows, Matrix<T> gates, Share blocks) const {
  Product<T> p = input_;
  p.panel_begin = weights_.input.panel_begin(blocks.begin);
  p.panel_end = weights_.input.panel_end(blocks.end);
  p.row_end = rows;
  p.a = x;
  p.start = {weights_.bias.data(), 0, nullptr};
  p.acc = {gates.base, gates.stride, nullptr};
  kernels_.product(p);

  // A slot that only the recurrent product fills begins at its bias.
  for (int slot = cell_.input.first + cell_.input.count; slot < cell_.slots; ++slot)
    for (Index row = 0; row < rows; ++row)
      for (Index block = blocks.begin; block < blocks.end; ++block) {
        const Index at = (block * cell_.slots + slot) * lanes_;
        std::copy_n(weights_.bias.data() + at, lanes_, gates.base + row * gates.stride + at);
      }
}

// h = W_hr m
template <class T>
void DirectionForward<T>::project(Index rows, Matrix<const T> m, Matrix<T> h, Share blocks) const {
  Product<T> p = second_;
  p.panel_begin = weights_.second.panel_begin(blocks.begin);
  p.panel_end = weights_.second.panel_end(blocks.end);
  p.row_end = rows;
  p.a = {m.base, m.stride, nullptr};
  p.start = {zeros_, 0, nullptr};
  p.acc = {h.base, h.stride, nullptr};
  kernels_.product(p);
}

// Zoneout of what recurs of h, and only then a copy to y: for steps that leave both to the engine.
template <class T>
void DirectionForward<T>::finish(Matrix<T> h_prev, Matrix<T> h, Rows<T> y, Index t, Share columns) const {
  if (zoneout_.h.active()) {
    const Share recurring{std::min(columns.begin, state_), std::min(columns.end, state_)};
    zoneout_.h.forward({h_prev.base, h_prev.stride}, h, time_.alive(t), recurring, time_, t);
  }
  for (Index row = 0; y.base && row < time_.alive(t); ++row)
    std::copy(h.base + row * h.stride + columns.begin, h.base + row * h.stride + columns.end,
              row_at(y, row) + columns.begin);
}

// h is written by one core and read by the others. Asked for when its turn comes, each line would be waited for by
// itself: so the lines to be written are fetched from their last readers, and those to be read from their writers,
// ahead.
template <class T>
void DirectionForward<T>::exchange_early(Matrix<T> read, Matrix<T> write, Index rows, Share mine,
                                         Share mine_out) const {
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  for (Index row = 0; row < rows; ++row) {
    T* const to = write.base + row * write.stride;
    for (Index k = mine.begin * lanes_; k < mine.end * lanes_; k += line) prefetch_to_write(to + k);
    const T* const from = read.base + row * read.stride;
    for (Index k = 0; k < state_; k += line)
      if (k < mine_out.begin * lanes_ || k >= mine_out.end * lanes_) __builtin_prefetch(from + k);
  }
}

template <class T>
void DirectionForward<T>::steps(const Io& io, Index window, Index begin, Index end, int member, Crew& crew) {
  const Share mine = share_of(blocks_, granule_, member, crew.size());
  const Share mine_out = projects_ ? share_of(divide_up(outputs_, lanes_), granule_, member, crew.size()) : mine;
  const Share mine_units = units_of(mine, lanes_, spec_.hidden_size);
  const bool cell_finishes = !projects_ && !zoneout_.h.active();  // else finish() does

  // The input product of all these steps at once: their compact rows lie side by side.
  const Index early = std::min(time_of(time_.seq_len, reverse_, begin), time_of(time_.seq_len, reverse_, end - 1));
  const Index chunk = time_.first(early), rows = time_.first(early + end - begin) - chunk;
  const Index gates_first = tape_ ? 0 : chunk;  // the compact row that gates_ begins with
  const auto at_row = [](Matrix<T> m, Index row) { return Matrix<T>{m.base + row * m.stride, m.stride}; };
  const Index x_row = io.x_window ? chunk - window : chunk;
  const Rows<const T> x{io.x.offset ? io.x.base : io.x.base + x_row * io.x.stride, io.x.stride,
                        io.x.offset ? io.x.offset + x_row : nullptr};
  if (norm_) norm_->input(x, chunk - gates_first, rows, mine, member, crew);
  else input_product(x, rows, at_row(gates_, chunk - gates_first), mine);

  Step<T> s = step_;
  s.product.panel_begin = weights_.recurrent.panel_begin(mine.begin);
  s.product.panel_end = weights_.recurrent.panel_end(mine.end);
  s.block_end = mine.end;
  for (Index step = begin; step < end; ++step) {
    const Index t = time_of(time_.seq_len, reverse_, step), row = time_.first(t);
    const Matrix<T> h_prev = h_[(phase_ + step) % 2], h = h_[(phase_ + step + 1) % 2];
    Rows<T> y{};
    if (io.y_compact) y = {io.y + (io.y_window ? row - window : row) * io.y_batch, io.y_batch, nullptr};
    else if (io.y && time_.masked()) y = {io.y, 0, io.y_offset + row};
    else if (io.y) y = {io.y + t * io.y_step, io.y_batch, io.y_offset};
    s.rows = time_.alive(t);
    s.gates = at_row(gates_, row - gates_first);
    s.h_prev = {h_prev.base, h_prev.stride};
    s.u = tape_ && u_.base ? at_row(u_, row) : u_;
    s.h = projects_ ? s.u : h;
    s.y = cell_finishes ? y : Rows<T>{};
    if (tape_) {
      s.h_prev_saved = at_row(tape_->h_prev, row);
      if (cell_.has_c) s.c_prev_saved = at_row(tape_->c_prev, row);
    }
    // U h- is zero where h- is; but NaN or infinite weights must show. (The second product reads r h-, and r may be
    // NaN.)
    s.product.depth = step == 0 && zero_state_ && weights_.finite ? 0 : step_.product.depth;
    s.product.last_panel_first = (phase_ + step) % 2;
    s.product.a = {h_prev.base, h_prev.stride, nullptr};
    s.product.acc = {s.gates.base, s.gates.stride, nullptr};
    s.product.start = {s.gates.base, s.gates.stride, nullptr};
    if (cell_.recurrent_gates > 0) {
      s.gates_prev = {h_prev.base + gates_at_, h_prev.stride};
      s.gates_next = {h.base + gates_at_, h.stride};
      if (tape_) s.gates_prev_saved = at_row(tape_->gates_prev, row);
      s.gates_product.depth = s.product.depth > 0 ? step_.gates_product.depth : 0;
      s.gates_product.last_panel_first = s.product.last_panel_first;
      s.gates_product.a = {s.gates_prev.base, s.gates_prev.stride, nullptr};
      s.gates_product.acc = s.product.acc;
      s.gates_product.start = s.product.start;
    }
    if (crew.size() > 1) exchange_early(h_prev, s.h, s.rows, mine, mine_out);
    if (norm_) {
      norm_->gates(s, row - gates_first, mine, member, crew);
      s.product.depth = 0;
    }
    if (zoneout_.c.active())
      for (Index r = 0; r < s.rows; ++r)
        std::copy(c_.base + r * c_.stride + mine_units.begin, c_.base + r * c_.stride + mine_units.end,
                  c_before_.base + r * c_before_.stride + mine_units.begin);
    cell_.forward(s);
    const auto zone_c = [&] {
      if (zoneout_.c.active()) zoneout_.c.forward({c_before_.base, c_before_.stride}, c_, s.rows, mine_units, time_, t);
    };
    if (!cell_.output_forward) zone_c();
    const bool makes_h = cell_.candidate.count == 0 && !cell_.output_forward;
    if (makes_h && !cell_finishes && !projects_) finish(h_prev, h, y, t, mine_units);
    crew.barrier(member);
    if (cell_.output_forward) {
      norm_->output(s, row - gates_first, mine);
      if (!cell_finishes && !projects_) finish(h_prev, h, y, t, mine_units);
      crew.barrier(member);
      zone_c();  // all members have read all of c
    }
    if (projects_) {
      project(s.rows, {s.u.base, s.u.stride}, h, mine_out);
      finish(h_prev, h, y, t, units_of(mine_out, lanes_, outputs_));
      crew.barrier(member);
    } else if (cell_.candidate.count > 0) {
      Step<T> second = s;
      second.product = second_;
      second.product.panel_begin = weights_.second.panel_begin(mine.begin);
      second.product.panel_end = weights_.second.panel_end(mine.end);
      second.blocks_in_panel = weights_.second.blocks_in_panel();
      second.product.last_panel_first = s.product.last_panel_first;
      second.product.a = {s.u.base, s.u.stride, nullptr};
      second.product.acc = s.product.acc;
      second.product.start = s.product.start;
      cell_.candidate_forward(second);
      if (zoneout_.h.active()) finish(h_prev, h, y, t, mine_units);
      crew.barrier(member);
    }
  }
}

template <class T>
void DirectionForward<T>::run(const Io& io, Index begin, Index end, int member, Crew& crew) {
  const Index early = std::min(time_of(time_.seq_len, reverse_, begin), time_of(time_.seq_len, reverse_, end - 1));
  for (Index at = begin; at < end; at += chunk_steps_)
    steps(io, time_.first(early), at, std::min(at + chunk_steps_, end), member, crew);
}

template class DirectionForward<float>;
template class DirectionForward<double>;

}  // namespace gru_native
