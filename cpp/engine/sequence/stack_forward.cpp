#include "engine/sequence/stack_forward.h"

#include <algorithm>
#include <cstring>

#include "engine/sequence/random.h"
#include "runtime/denormals.h"

namespace gru_native {

DropoutMask::DropoutMask(double p, std::uint64_t seed) : p_(p), seed_(seed) {}

template <class T>
void DropoutMask::apply(Matrix<T> m, Index columns, const Timeline& time, Index layer, Index begin, Index end) const {
  const T scale = p_ < 1 ? static_cast<T>(1 / (1 - p_)) : T(0);
  Index t = 0;
  for (Index row = begin; row < end; ++row) {
    while (time.first(t + 1) <= row) ++t;
    const RowMask mask(p_, seed_, static_cast<std::uint64_t>(layer), t, time.user_row(row - time.first(t)));
    T* const at = m.base + row * m.stride;
    GRU_NATIVE_EXECUTED(dropout, columns);
    for (Index c = 0; c < columns; ++c) at[c] = mask.hits(c) ? T(0) : at[c] * scale;
  }
}
template void DropoutMask::apply(Matrix<float>, Index, const Timeline&, Index, Index, Index) const;
template void DropoutMask::apply(Matrix<double>, Index, const Timeline&, Index, Index, Index) const;

int useful_threads(const LayerSpec& spec, Index rows, Index steps) {
  const double recurrent = double(spec.gates()) * double(spec.hidden_size) * double(spec.recurrent_size()) +
                           double(spec.recurrent_gates()) * double(spec.recurrent_gates());
  const double input = double(spec.gates()) * double(spec.hidden_size) * double(spec.input_size);
  const double macs = double(rows) * (recurrent + input) * double(spec.directions() * spec.num_layers);
  const double barriers = spec.layer_norm ? spec.has_c() ? 3 : 2 : 1;  // of a step
  return steps < 1 ? 1 : useful_threads(macs, double(rows) / double(steps) * recurrent / barriers, spec.directions());
}

namespace {

const Index* compact_offsets(Index step_stride, Index batch_stride, const Timeline& time, Arena& arena) {
  Index* const offset = arena.take<Index>(time.rows);
  Index at = 0;
  for (Index t = 0; t < time.seq_len; ++t)
    for (Index row = 0; row < time.alive(t); ++row)
      offset[at++] = time.user_step(t, row) * step_stride + time.user_row(row) * batch_stride;
  return offset;
}

}  // namespace

const Index* row_offsets(Index step_stride, Index batch_stride, const Timeline& time, Arena& arena) {
  if (time.masked()) return compact_offsets(step_stride, batch_stride, time, arena);
  if (time.order.empty()) return nullptr;
  Index* const offset = arena.take<Index>(time.batch);
  for (Index row = 0; row < time.batch; ++row) offset[row] = time.user_row(row) * batch_stride;
  return offset;
}

template <class T>
Rows<T> user_rows(const Sequences<T>& s, const Timeline& time, Arena& arena) {
  if (!time.ragged() && (time.batch == 1 || s.step_stride == time.batch * s.batch_stride))
    return {s.data, time.batch == 1 ? s.step_stride : s.batch_stride, nullptr};
  return {s.data, 0, compact_offsets(s.step_stride, s.batch_stride, time, arena)};
}
template Rows<const float> user_rows(const Sequences<const float>&, const Timeline&, Arena&);
template Rows<const double> user_rows(const Sequences<const double>&, const Timeline&, Arena&);

template <class T>
StackForward<T>::StackForward(const LayerSpec& spec, const PackedWeights<T>& weights, const Timeline& time,
                              Index longest, std::vector<LayerTape<T>>* tape, DropoutMask dropout, Draw draw,
                              Arena& arena)
    : spec_(spec), time_(time), tape_(tape), dropout_(dropout) {
  // Forward in time only and without a tape, a window of steps passes through all layers before the next one does,
  // so what lies between layers stays small.
  windows_ = spec.directions() == 1 && !tape;
  window_ = longest;
  const Index columns = spec.directions() * spec.output_size();
  for (Index layer = 0; layer < spec.num_layers; ++layer) {
    for (Index d = 0; d < spec.directions(); ++d) {
      const Index i = layer * spec.directions() + d;
      directions_.emplace_back(spec, weights, weights.forward[i], time, d == 1, longest,
                               tape ? &(*tape)[layer].direction[d] : nullptr, arena, zoneout_of(spec, i, draw));
    }
    if (windows_) window_ = std::min(window_, directions_.back().chunk_steps());
    if (layer + 1 == spec.num_layers) break;
    const Index stride = padded_stride(columns, sizeof(T));
    const Index rows = windows_ ? window_ * time.batch : time.rows;
    between_.push_back({arena.take<T>(rows * stride), stride});
    if (tape) (*tape)[layer + 1].x = between_.back();
  }
}

template <class T>
void StackForward<T>::load_state(const States<const T>& s) {
  for (std::size_t i = 0; i < directions_.size(); ++i) {
    const Index rows = static_cast<Index>(i) * time_.batch;
    directions_[i].load_state(s.h ? s.h + rows * spec_.state_size() : nullptr,
                              s.c ? s.c + rows * spec_.hidden_size : nullptr);
  }
}

template <class T>
void StackForward<T>::store_state(const States<T>& s) const {
  for (std::size_t i = 0; i < directions_.size(); ++i) {
    const Index rows = static_cast<Index>(i) * time_.batch;
    directions_[i].store_state(s.h ? s.h + rows * spec_.state_size() : nullptr,
                               s.c ? s.c + rows * spec_.hidden_size : nullptr);
  }
}

// Two directions on two or more threads are two crews that never wait for each other within a layer.
template <class T>
void StackForward<T>::layer(Index layer, typename DirectionForward<T>::Io io, Index begin, Index end, int rank,
                            Crew& all, Crew* halves) {
  const Index first = layer * spec_.directions();
  T* const y = io.y;
  for (int d = 0; d < spec_.directions(); ++d) {
    io.y = y + d * spec_.output_size();
    if (spec_.directions() == 1 || all.size() == 1) {
      directions_[first + d].run(io, begin, end, rank, all);
    } else if ((rank >= halves[0].size()) == (d == 1)) {
      directions_[first + d].run(io, begin, end, d == 1 ? rank - halves[0].size() : rank, halves[d]);
    }
  }
}

template <class T>
void StackForward<T>::run(Rows<const T> x, const Sequences<T>& y, const Index* y_offset, TeamLease& team) {
  Crew all(team.size());
  Crew halves[2] = {Crew(team.size() / 2), Crew(team.size() - team.size() / 2)};
  const Index columns = spec_.directions() * spec_.output_size();
  team.run([&](int rank) {
    const FlushDenormals flush;
    for (Index begin = 0; begin < time_.seq_len; begin += window_) {
      const Index end = std::min(begin + window_, time_.seq_len);
      for (Index l = 0; l < spec_.num_layers; ++l) {
        typename DirectionForward<T>::Io io{};
        io.x = x;
        if (l > 0) io.x = {between_[l - 1].base, between_[l - 1].stride, nullptr}, io.x_window = windows_;
        if (l + 1 < spec_.num_layers) {
          io.y = between_[l].base, io.y_batch = between_[l].stride;
          io.y_compact = true, io.y_window = windows_;
        } else {
          io.y = y.data, io.y_step = y.step_stride, io.y_batch = y.batch_stride, io.y_offset = y_offset;
        }
        layer(l, io, begin, end, rank, all, halves);
        if (l + 1 == spec_.num_layers) break;
        all.barrier(rank);
        if (tape_ && dropout_.active()) {
          const Share mine = share_of(time_.rows, 1, rank, all.size());
          dropout_.apply(between_[l], columns, time_, l, mine.begin, mine.end);
          all.barrier(rank);
        }
      }
    }
  });
  for (DirectionForward<T>& d : directions_) d.advance(time_.seq_len);
}

template class StackForward<float>;
template class StackForward<double>;

}  // namespace gru_native
