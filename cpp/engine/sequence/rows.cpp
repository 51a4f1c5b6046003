#include "engine/sequence/rows.h"

namespace gru_native {
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

template <class T>
StepRows<T> user_steps(const Sequences<T>& s, const Timeline& time, Arena& arena) {
  if (!s.data) return {};
  const Index* table = nullptr;
  if (time.masked()) {
    table = compact_offsets(s.step_stride, s.batch_stride, time, arena);
  } else if (!time.order.empty()) {
    Index* const offset = arena.take<Index>(time.batch);
    for (Index row = 0; row < time.batch; ++row) offset[row] = time.user_row(row) * s.batch_stride;
    table = offset;
  }
  return StepRows<T>::as_user_has_them(s, table);
}
template StepRows<float> user_steps(const Sequences<float>&, const Timeline&, Arena&);
template StepRows<double> user_steps(const Sequences<double>&, const Timeline&, Arena&);
template StepRows<const float> user_steps(const Sequences<const float>&, const Timeline&, Arena&);
template StepRows<const double> user_steps(const Sequences<const double>&, const Timeline&, Arena&);

template <class T>
Rows<T> user_rows(const Sequences<T>& s, const Timeline& time, Arena& arena) {
  if (!time.ragged() && (time.batch == 1 || s.step_stride == time.batch * s.batch_stride))
    return {s.data, time.batch == 1 ? s.step_stride : s.batch_stride, nullptr};
  return {s.data, 0, compact_offsets(s.step_stride, s.batch_stride, time, arena)};
}
template Rows<float> user_rows(const Sequences<float>&, const Timeline&, Arena&);
template Rows<double> user_rows(const Sequences<double>&, const Timeline&, Arena&);
template Rows<const float> user_rows(const Sequences<const float>&, const Timeline&, Arena&);
template Rows<const double> user_rows(const Sequences<const double>&, const Timeline&, Arena&);

}  // namespace gru_native
