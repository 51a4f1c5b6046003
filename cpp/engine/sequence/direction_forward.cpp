#include "engine/sequence/direction_forward.h"

#include <algorithm>
#include <cstring>

#include "engine/matrix/matrices.h"
#include "engine/sequence/step_parts.h"
#include "engine/threads.h"

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

template <class T>
double macs_of_row_of(const Step<T>& s) {
  const double columns = static_cast<double>((s.product.panel_end - s.product.panel_begin) * s.product.acc_panel_step);
  return columns * (static_cast<double>(s.product.depth + s.gates_product.depth) + macs_of_function);
}

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
      has_candidate_(cell_.candidate.count > 0),
      input_(product_of(weights_.input, lanes_, cell_.slots, cell_.input.first)),
      zoneout_(zoneout),
      cell_hands_out_(!projects_ && !zoneout.h.active()) {
  if (projects_) second_ = product_of(weights_.second, lanes_, 1, 0);
  else if (has_candidate_) second_ = product_of(weights_.second, lanes_, cell_.slots, cell_.candidate.first);
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
  for (Rows<T>& h : states_.h) h = rows_of(zeroed(time.batch, state_stride));
  if (cell_.has_c) states_.c = rows_of(zeroed(time.batch, unit_stride));
  if (zoneout_.c.active()) c_before_ = zeroed(time.batch, unit_stride);
  zeros_ = zeroed(1, state_stride).base;
  const bool has_u = projects_ || has_candidate_;
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
  if (!step_.product.quantized && step_.product.depth <= most_k_in_two_sums) step_.product.sums = 2;
  step_.blocks_in_panel = weights_.recurrent.blocks_in_panel();
  if (cell_.recurrent_gates > 0) step_.gates_product = product_of(weights_.gates, lanes_, cell_.slots, 0);
  step_.hidden = spec.hidden_size;
  step_.options = cell_options(spec, weights_);
  step_.save = tape_ != nullptr;
  if (time.batch > 1) places_ = arena.take<Index>(2 * std::min(chunk_steps_, longest) * time.batch);
  plan_rows();
}

template <class T>
void DirectionForward<T>::widen_once(Arena& arena) {
  constexpr Index few_steps = 8;
  const QuantizedKernels* const kernels = weights_.recurrent.quantized.kernels;
  if (!kernels || !kernels->widen || time_.batch < kernels->wide_from || time_.seq_len < few_steps) return;
  for (Product<T>* p : {&input_, &step_.product, &second_, &step_.gates_product}) {
    if (!p->quantized) continue;
    p->panels = arena.take<T>(p->panel_end * p->panel_stride);
    p->quantized = nullptr;
    wide_ = true;
  }
}

// The panels that this member reads.
template <class T>
void DirectionForward<T>::widen(const Part& mine) const {
  if constexpr (sizeof(T) == sizeof(float)) {
    Progress progress;
    const auto panels_of = [&](const PackedMatrix<T>& m, const Product<T>& p, Share blocks) {
      if (!m.quantized.kernels) return;
      Product<T> few_bits = p;
      few_bits.quantized = &m.quantized;
      for (Index panel = m.panel_begin(blocks.begin); panel < m.panel_end(blocks.end); ++panel) {
        progress.add(macs_of_panel_copy(m));
        few_bits.panel_begin = panel, few_bits.panel_end = panel + 1;
        m.quantized.kernels->widen(few_bits, const_cast<T*>(p.panels));
      }
    };
    panels_of(weights_.input, input_, mine.blocks);
    panels_of(weights_.recurrent, step_.product, mine.blocks);
    panels_of(weights_.second, second_, mine.output_blocks);
    panels_of(weights_.gates, step_.gates_product, mine.blocks);
  }
}

// What every step does is inline: a small layer's step takes little more than 100 nanoseconds, and calls would show.
template <class T>
inline typename DirectionForward<T>::Part DirectionForward<T>::part_of(int member, int members) const {
  const Share blocks = share_of(blocks_, granule_, member, members);
  return {blocks,
          units_of(blocks, lanes_, spec_.hidden_size),
          projects_ ? share_of(divide_up(outputs_, lanes_), granule_, member, members) : blocks,
          {0, time_.batch},
          member};
}

// The input products of the steps [early, early + steps) at once. Their compact rows lie side by side; not so those of
// a member who has some of each step.
template <class T>
inline void DirectionForward<T>::input_products(const Io& io, Index early, Index steps, const Part& mine, Crew& crew) {
  const Index chunk = time_.first(early), rows = time_.first(early + steps) - chunk, to = tape_ ? chunk : 0;
  Rows<const T> x = io.x;
  skip_rows(x, chunk - io.x_first);
  Rows<T> gates = rows_of(from_row(gates_, to));
  if (norm_) return norm_->input(x, to, rows, mine.blocks, mine.member, crew);
  if (mine.all) {
    const Share share = share_of(rows, 1, mine.member, mine.all->size());
    skip_rows(x, share.begin), skip_rows(gates, share.begin);
    if (share.begin < share.end) input_product(x, share.end - share.begin, gates, {0, blocks_});
    return mine.all->barrier(mine.member);
  }
  if (whole_batch(mine)) {
    input_product(x, rows, gates, mine.blocks);
    if (mine.rest.begin == mine.rest.end) return;
    const Share share = share_of(rows, 1, mine.member, crew.size());
    skip_rows(x, share.begin), skip_rows(gates, share.begin);
    if (share.begin < share.end) input_product(x, share.end - share.begin, gates, mine.rest);
    return crew.barrier(mine.member);
  }
  Index* const x_places = places_ + 2 * steps * mine.rows.begin;
  Index* const gates_places = x_places + steps * (mine.rows.end - mine.rows.begin);
  Index count = 0;
  for (Index t = early; t < early + steps; ++t) {
    const Index first = time_.first(t) - chunk, end = std::min(mine.rows.end, time_.alive(t));
    for (Index row = first + mine.rows.begin; row < first + end; ++row, ++count) {
      x_places[count] = x.offset ? x.offset[row] : row * x.stride;
      gates_places[count] = row * gates.stride;
    }
  }
  if (count > 0) input_product({x.base, 0, x_places}, count, {gates.base, 0, gates_places}, mine.blocks);
}

// Where the rows of this step lie.
template <class T>
inline void DirectionForward<T>::place(Step<T>& s, const Now& now) const {
  s.rows = now.rows;
  s.gates = from_row(gates_, now.gates_row);
  s.h_prev = read_only(now.h_prev);
  s.c = states_.c;
  skip_rows(s.c, now.first);
  s.u = u_;
  skip_rows(s.u, tape_ ? now.row : now.first);
  s.h = projects_ ? rows_of(s.u) : now.h;
  s.y = cell_hands_out_ ? now.y : Rows<T>{};
  if (!tape_) return;
  s.h_prev_saved = from_row(tape_->h_prev, now.row);
  if (cell_.has_c) s.c_prev_saved = from_row(tape_->c_prev, now.row);
}

// a += U h-, and with gate recurrence a += R [i-, f-, o-], which the cell's kernel begins with.
template <class T>
inline void DirectionForward<T>::recurrent_products(Step<T>& s, const Now& now) const {
  // U h- is zero where h- is; but NaN or infinite weights must show. (The second product reads r h-, and r may be NaN.)
  const bool nothing = now.step == 0 && zero_state_ && weights_.finite;
  s.product.depth = nothing ? 0 : step_.product.depth;
  s.product.last_panel_first = (phase_ + now.step) % 2;
  s.product.a = s.h_prev;
  s.product.acc = {s.gates.base, s.gates.stride, nullptr};
  s.product.start = {s.gates.base, s.gates.stride, nullptr};
  if (cell_.recurrent_gates == 0) return;
  s.gates_prev = from_column(s.h_prev, gates_at_);
  s.gates_next = from_column(now.h, gates_at_);
  if (tape_) s.gates_prev_saved = from_row(tape_->gates_prev, now.row);
  s.gates_product.depth = nothing ? 0 : step_.gates_product.depth;
  s.gates_product.last_panel_first = s.product.last_panel_first;
  s.gates_product.a = s.gates_prev;
  s.gates_product.acc = s.product.acc;
  s.gates_product.start = s.product.start;
}

// h is written by one core and read by the others. Asked for when its turn comes, each line would be waited for by
// itself: so the lines to be written are fetched from their last readers, and those to be read from their writers,
// ahead.
template <class T>
void DirectionForward<T>::exchange_early(const Step<T>& s, const Part& mine) const {
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  for (Index row = 0; row < s.rows; ++row) {
    T* const to = row_at(s.h, row);
    for (Index k = mine.blocks.begin * lanes_; k < mine.blocks.end * lanes_; k += line) prefetch_to_write(to + k);
    const T* const from = row_at(s.h_prev, row);
    for (Index k = 0; k < state_; k += line)
      if (k < mine.output_blocks.begin * lanes_ || k >= mine.output_blocks.end * lanes_) __builtin_prefetch(from + k);
  }
}

template <class T>
void DirectionForward<T>::keep_c(Index rows, Share units) const {
  for (Index row = 0; row < rows; ++row)
    std::copy(row_at(states_.c, row) + units.begin, row_at(states_.c, row) + units.end,
              c_before_.base + row * c_before_.stride + units.begin);
}

// n = tanh(W_n x + b_n + U_n u) and h, for a GRU with reset before: u = r h-.
template <class T>
void DirectionForward<T>::candidate(const Step<T>& first, Share blocks) const {
  Step<T> s = first;
  s.product = second_;
  s.product.scratch = first.product.scratch;
  s.product.panel_begin = weights_.second.panel_begin(blocks.begin);
  s.product.panel_end = weights_.second.panel_end(blocks.end);
  s.blocks_in_panel = weights_.second.blocks_in_panel();
  s.product.last_panel_first = first.product.last_panel_first;
  s.product.a = rows_from(s.u, 0);
  s.product.acc = first.product.acc;
  s.product.start = first.product.start;
  in_step_parts(s, macs_of_row_of(s) * static_cast<double>(s.rows), cell_.candidate_forward);
}

// h = W_hr m
template <class T>
void DirectionForward<T>::projection(const Step<T>& s, const Rows<T>& h, Share output_blocks) const {
  Product<T> p = second_;
  p.panel_begin = weights_.second.panel_begin(output_blocks.begin);
  p.panel_end = weights_.second.panel_end(output_blocks.end);
  p.row_end = s.rows;
  p.a = rows_from(s.u, 0);
  p.start = {zeros_, 0, nullptr};
  p.acc = h;
  multiply(p);
}

// Zoneout of what recurs of h, and only then a copy to y: where the cell does not hand out its h itself.
template <class T>
void DirectionForward<T>::hand_out(const Now& now, Share columns) const {
  const Index rows = now.rows;
  if (zoneout_.h.active()) {
    const Share recurring{std::min(columns.begin, state_), std::min(columns.end, state_)};
    zoneout_.h.forward(read_only(now.h_prev), now.h, rows, recurring, time_, now.t);
  }
  Progress progress;
  for (Index row = 0; now.y.base && row < rows; ++row) {
    progress.add(macs_of_copy * static_cast<double>(columns.end - columns.begin));
    std::copy(row_at(now.h, row) + columns.begin, row_at(now.h, row) + columns.end, row_at(now.y, row) + columns.begin);
  }
}

// The recurrence, for steps whose input products fit into gates_. Whatever a member reads of others' units lies behind
// a barrier.
template <class T>
void DirectionForward<T>::steps(const Io& io, Index begin, Index end, const Part& mine, Crew& crew, void* scratch) {
  const Index early = std::min(time_of(time_.seq_len, reverse_, begin), time_of(time_.seq_len, reverse_, end - 1));
  const Index gates_first = tape_ ? 0 : time_.first(early);
  input_products(io, early, end - begin, mine, crew);

  Step<T> s = step_;
  s.product.panel_begin = weights_.recurrent.panel_begin(mine.blocks.begin);
  s.product.panel_end = weights_.recurrent.panel_end(mine.blocks.end);
  Progress progress;
  s.product.scratch = scratch;
  s.block_end = mine.blocks.end;
  const double macs_of_row = macs_of_row_of(s);
  const int member = mine.member;
  for (Index step = begin; step < end; ++step) {
    const Index t = time_of(time_.seq_len, reverse_, step), first = mine.rows.begin, row = time_.first(t) + first;
    const Index turn = (phase_ + step) % 2, rows = std::min(mine.rows.end, time_.alive(t)) - first;
    if (rows <= 0) continue;
    Now now{step, t, first, row, row - gates_first, rows, states_.h[turn], states_.h[1 - turn], io.y.at(time_, t)};
    for (Rows<T>* const of_batch : {&now.h_prev, &now.h, &now.y}) skip_rows(*of_batch, first);
    place(s, now);
    recurrent_products(s, now);
    const double macs = macs_of_row * static_cast<double>(s.rows);
    progress.add(macs);
    if (crew.size() > 1) exchange_early(s, mine);
    if (norm_) norm_->gates(s, now.gates_row, mine.blocks, member, crew);  // the products, normalised
    if (zoneout_.c.active()) keep_c(s.rows, mine.units);

    in_step_parts(s, macs, cell_.forward);
    const bool has_rest = mine.rest.begin < mine.rest.end;
    if (has_rest) {
      const Step<T> rest = rest_of(s, mine, crew.size());
      in_step_parts(rest, macs_of_row_of(rest) * static_cast<double>(rest.rows), cell_.forward);
    }
    if (cell_.output_forward) {
      crew.barrier(member);
      norm_->output(s, now.gates_row, mine.blocks);  // h from c, normalised
    }
    if (!projects_ && !has_candidate_ && !cell_hands_out_) hand_out(now, mine.units);
    crew.barrier(member);
    if (zoneout_.c.active()) zoneout_.c.forward(rows_from(c_before_, 0), states_.c, s.rows, mine.units, time_, t);

    if (has_candidate_) {
      candidate(s, mine.blocks);
      if (has_rest) candidate(rest_of(s, mine, crew.size()), mine.rest);
    } else if (projects_) {
      projection(s, now.h, mine.output_blocks);
    } else {
      continue;
    }
    if (!cell_hands_out_) hand_out(now, projects_ ? units_of(mine.output_blocks, lanes_, outputs_) : mine.units);
    crew.barrier(member);
  }
}

template <class T>
void DirectionForward<T>::run(const Io& io, Index begin, Index end, int member, Crew& crew) {
  if (crew.size() == 1 && run_as_row(io, begin, end)) return;
  const bool by_rows = shares_rows(spec_, time_.batch, crew.size());
  const bool by_one = !by_rows && crew.size() > 1 && recurs_alone(spec_, time_.rows, time_.seq_len);
  Part mine = part_of(member, crew.size());
  if (wide_ && begin == 0) {
    widen(mine);
    if (by_rows || by_one) crew.barrier(member);
  }
  if (!by_rows && !by_one) {
    if (crew.size() > 1 && weights_.dense_input.panels > 0) mine.all = &crew;  // that product is not cut into units
    leave_rest(mine, crew.size());
    return run_part(io, begin, end, mine, crew);
  }
  mine = part_of(0, 1);
  mine.member = member;
  if (by_one && member > 0) mine.rows.begin = time_.batch;
  if (by_one || is_uneven(crew.size())) mine.all = &crew;
  Crew alone;
  for (Index at = begin; at < end; at += chunk_steps_) {
    const Index next = std::min(at + chunk_steps_, end);
    // All wait at the end of a chunk, so it is in each that members are to have as many steps.
    const Share steps = reverse_ ? Share{time_.seq_len - next, time_.seq_len - at} : Share{at, next};
    if (by_rows) mine.rows = rows_of_member(time_, steps, member, crew.size());
    run_part(io, at, next, mine, alone);
    crew.barrier(member);  // where a member's rows lie in gates_ and places_ is not the same in the next chunk
  }
}

template <class T>
inline void DirectionForward<T>::run_part(const Io& io, Index begin, Index end, const Part& mine, Crew& crew) {
  if (weights_.recurrent.quantized.kernels && !wide_) run_quantized(io, begin, end, mine, crew);
  else run_chunks(io, begin, end, mine, crew, nullptr);
}

// By itself, so that only calls which need the scratch have it on their stack.
template <class T>
[[gnu::noinline]] void DirectionForward<T>::run_quantized(const Io& io, Index begin, Index end, const Part& mine,
                                                          Crew& crew) {
  alignas(64) char scratch[quantized_scratch];
  run_chunks(io, begin, end, mine, crew, scratch);
}

template <class T>
void DirectionForward<T>::run_chunks(const Io& io, Index begin, Index end, const Part& mine, Crew& crew,
                                     void* scratch) {
  for (Index at = begin; at < end; at += chunk_steps_)
    steps(io, at, std::min(at + chunk_steps_, end), mine, crew, scratch);
}

template class DirectionForward<float>;
template class DirectionForward<double>;

}  // namespace gru_native
