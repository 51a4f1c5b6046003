// The time loop of a row by itself, which is the kernels': a step of a small layer takes some 40 nanoseconds, and what
// the loop for all batches finds out at each step would take longer.
#include <algorithm>

#include "engine/matrix/matrices.h"
#include "engine/sequence/direction_forward.h"

namespace gru_native {
namespace {
constexpr Index most_bytes = 256 * 1024;  // of weights: where these come from further away, their order counts more
constexpr Index few_inputs = 16;          // with more, products of many steps at once are faster
}  // namespace

template <class T>
void DirectionForward<T>::plan_rows() {
  if (tape_ || norm_ || projects_ || zoneout_.h.active() || zoneout_.c.active()) return;
  row_steps_ = cell_.row_steps;
  Index bytes = 0;
  for (const PackedMatrix<T>* const m : {&weights_.input, &weights_.recurrent}) {
    bytes += m->columns() * m->depth * static_cast<Index>(sizeof(T));
    if constexpr (sizeof(T) == sizeof(float)) {
      if (!m->quantized.kernels) continue;  // one may be of few bits, or both
      row_steps_ = m->depth > most_row_steps_depth ? nullptr : m->quantized.kernels->row_steps[cell_index(spec_)];
      if (!row_steps_) return;
      (m == &weights_.input ? row_.few_bits_of_input : row_.few_bits_of_recurrent) = &m->quantized;
    }
  }
  if (!row_steps_ || bytes > most_bytes) return;
  row_.inputs = weights_.input.depth;
  row_.hidden = spec_.hidden_size;
  row_.blocks = blocks_;
  row_.input = weights_.input.data.data();
  row_.recurrent = weights_.recurrent.data.data();
  row_.bias = weights_.bias.data();
  const double macs = static_cast<double>(row_.blocks * lanes_ * cell_.slots * (row_.inputs + row_.hidden));
  row_steps_at_once_ = std::max<Index>(1, static_cast<Index>(macs_between_looks / macs) - 1);
  plan_states();
}

template <class T>
void DirectionForward<T>::plan_states() {
  row_.h[0] = row_at(states_.h[0], 0), row_.h[1] = row_at(states_.h[1], 0);
  row_.c = cell_.has_c ? row_at(states_.c, 0) : nullptr;
}

template <class T>
void DirectionForward<T>::run_row_in_parts(Index step, const T* x, Index x_step, T* y, Index y_step, Index steps) {
  for (Index begin = 0; begin < steps; begin += row_steps_at_once_) {
    const Index now = std::min(row_steps_at_once_, steps - begin);
    run_row(step + begin, x + begin * x_step, x_step, y ? y + begin * y_step : nullptr, y_step, now);
    look();
  }
}

// Steps [begin, end) of any call, if they are those of a row by itself.
template <class T>
bool DirectionForward<T>::run_as_row(const Io& io, Index begin, Index end) {
  const Index steps = end - begin;
  if (!plans_rows() || time_.batch != 1 || time_.rows != time_.seq_len || steps == 0) return false;
  if (steps > 1 && (io.x.offset || row_.inputs > few_inputs)) return false;
  const Index t = time_of(time_.seq_len, reverse_, begin), way = reverse_ ? -1 : 1;
  const Rows<T> y = io.y.at(time_, t);
  if (steps > 1 && y.offset) return false;
  const Index y_step = steps > 1 && y.base ? io.y.at(time_, t + way).base - y.base : 0;
  run_row(begin, row_at(io.x, t - io.x_first), way * io.x.stride, y.base ? row_at(y, 0) : nullptr, y_step, steps);
  return true;
}

template void DirectionForward<float>::plan_rows();
template void DirectionForward<double>::plan_rows();
template void DirectionForward<float>::plan_states();
template void DirectionForward<double>::plan_states();
template void DirectionForward<float>::run_row_in_parts(Index, const float*, Index, float*, Index, Index);
template void DirectionForward<double>::run_row_in_parts(Index, const double*, Index, double*, Index, Index);
template bool DirectionForward<float>::run_as_row(const Io&, Index, Index);
template bool DirectionForward<double>::run_as_row(const Io&, Index, Index);

}  // namespace gru_native
