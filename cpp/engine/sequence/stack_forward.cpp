#include "engine/sequence/stack_forward.h"

#include <algorithm>

#include "engine/matrix/matrices.h"
#include "runtime/denormals.h"

namespace gru_native {

template <class T>
StackForward<T>::StackForward(const LayerSpec& spec, const PackedWeights<T>& weights, const Timeline& time,
                              Index longest, std::vector<LayerTape<T>>* tape, Dropout dropout, Draw draw, Arena& arena)
    : spec_(spec), time_(time), dropout_(dropout), directions_(arena, spec.num_layers * spec.directions()) {
  // Forward in time only, without a tape or dropout, a window of steps passes through all layers before the next one
  // does, so what lies between layers stays small.
  windows_ = spec.directions() == 1 && !tape && !dropout.active();
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
  for (Index i = 0; i < directions_.size(); ++i) {
    const Index rows = i * time_.batch;
    directions_[i].load_state(s.h ? s.h + rows * spec_.state_size() : nullptr,
                              s.c ? s.c + rows * spec_.hidden_size : nullptr);
  }
}

template <class T>
void StackForward<T>::store_state(const States<T>& s) const {
  for (Index i = 0; i < directions_.size(); ++i) {
    const Index rows = i * time_.batch;
    directions_[i].store_state(s.h ? s.h + rows * spec_.state_size() : nullptr,
                               s.c ? s.c + rows * spec_.hidden_size : nullptr);
  }
}

// Two directions on two or more threads are two crews that never wait for each other within a layer.
template <class T>
void StackForward<T>::layer(Index layer, const typename DirectionForward<T>::Io& io, Index begin, Index end, int rank,
                            Crews& crews) {
  const Index first = layer * spec_.directions();
  for (int d = 0; d < spec_.directions(); ++d) {
    typename DirectionForward<T>::Io own = io;
    own.y = io.y.from_column(d * spec_.output_size());
    if (spec_.directions() == 1 || crews.all.size() == 1) {
      directions_[first + d].run(own, begin, end, rank, crews.all);
    } else if ((rank >= crews.halves[0].size()) == (d == 1)) {
      directions_[first + d].run(own, begin, end, d == 1 ? rank - crews.halves[0].size() : rank, crews.halves[d]);
    }
  }
}

template <class T>
void StackForward<T>::run(Rows<const T> x, StepRows<T> y, TeamLease& team) {
  Crews crews(team);
  const Index columns = spec_.directions() * spec_.output_size();
  team.run([&](int rank) {
    const FlushDenormals flush;
    for (Index begin = 0; begin < time_.seq_len; begin += window_) {
      const Index end = std::min(begin + window_, time_.seq_len);
      const Index first = windows_ ? time_.first(begin) : 0;  // that buffers between layers begin with
      for (Index l = 0; l < spec_.num_layers; ++l) {
        const bool bottom = l == 0, top = l + 1 == spec_.num_layers;
        layer(l,
              {bottom ? x : rows_from(between_[l - 1], 0), bottom ? 0 : first,
               top ? y : StepRows<T>::compact(between_[l], first)},
              begin, end, rank, crews);
        if (top) break;
        crews.all.barrier(rank);
        if (dropout_.active()) {
          const Share mine = share_of(time_.rows, 1, rank, crews.all.size());
          dropout_.apply(between_[l], columns, time_, l, mine.begin, mine.end);
          crews.all.barrier(rank);
        }
      }
    }
  });
  for (DirectionForward<T>& d : directions_) d.advance(time_.seq_len);
}

template <class T>
bool StackForward<T>::plans_rows() const {
  if (!windows_ || time_.batch != 1) return false;
  for (Index l = 0; l < spec_.num_layers; ++l)
    if (!directions_[l].plans_rows()) return false;
  return true;
}

template <class T>
void StackForward<T>::run_row_of_layers(const T* x, Index x_step, T* y, Index y_step, Index steps) {
  for (Index begin = 0; begin < steps; begin += window_) {
    const Index now = std::min(window_, steps - begin);
    const T* from = x + begin * x_step;
    Index from_step = x_step;
    for (Index l = 0; l + 1 < spec_.num_layers; ++l) {
      const Matrix<T>& to = between_[l];
      directions_[l].run_row(begin, from, from_step, to.base, to.stride, now);
      from = to.base, from_step = to.stride;
    }
    directions_[spec_.num_layers - 1].run_row(begin, from, from_step, y ? y + begin * y_step : nullptr, y_step, now);
  }
  for (DirectionForward<T>& d : directions_) d.advance(steps);
}

template class StackForward<float>;
template class StackForward<double>;

}  // namespace gru_native
