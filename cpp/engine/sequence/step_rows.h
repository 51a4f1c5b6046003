// The rows of every time in a buffer: where a direction's outputs go, and where their gradients come from.
#pragma once
#include "engine/sequence/timeline.h"

namespace gru_native {

template <class T>
class StepRows {
 public:
  StepRows() = default;  // nowhere

  // Row b of time t at data + t * step_stride + b * batch_stride; or with a table at
  // data + t * step_stride + table[b], and where steps are masked at data + table[compact row].
  static StepRows as_user_has_them(const Sequences<T>& s, const Index* table) {
    StepRows r;
    r.base_ = s.data, r.step_ = s.step_stride, r.stride_ = s.batch_stride, r.table_ = table;
    return r;
  }
  // The compact rows from row `first` on.
  static StepRows compact(Matrix<T> m, Index first = 0) {
    StepRows r;
    r.base_ = m.base, r.stride_ = m.stride, r.compact_ = true, r.first_ = first;
    return r;
  }
  // The same rows at every time.
  static StepRows always(Matrix<T> m) { return as_user_has_them({m.base, 0, m.stride}, nullptr); }

  // Those of this, without the first columns.
  StepRows from_column(Index column) const {
    StepRows r = *this;
    if (r.base_) r.base_ += column;
    return r;
  }

  // The rows of time t; their base is null if they are nowhere.
  Rows<T> at(const Timeline& time, Index t) const {
    if (!base_) return {};
    if (compact_) return {base_ + (time.first(t) - first_) * stride_, stride_, nullptr};
    if (time.masked()) return {base_, 0, table_ + time.first(t)};
    return {base_ + t * step_, stride_, table_};
  }

 private:
  T* base_ = nullptr;
  Index step_ = 0, stride_ = 0;
  const Index* table_ = nullptr;
  bool compact_ = false;
  Index first_ = 0;
};

}  // namespace gru_native
