#include "engine/sequence/stack_forward.h"

#include <algorithm>

#include "runtime/denormals.h"

namespace gru_native {

template <class T>
StackForward<T>::StackForward(const LayerSpec& spec, const PackedWeights<T>& weights, const Timeline& time,
                              Index longest, std::vector<LayerTape<T>>* tape, Dropout dropout, Draw draw, Arena& arena)
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
