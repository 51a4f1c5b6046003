// The states of a direction: from the user's rows into its own, and back.
#include <algorithm>

#include "engine/matrix/matrices.h"
#include "engine/sequence/direction_forward.h"

namespace gru_native {

template <class T>
void DirectionForward<T>::load_row(T* h, T* c, const T* from_h, const T* from_c) const {
  const auto load = [](T* to, const T* from, Index columns) {
    if (from) std::copy_n(from, columns, to);
    else std::fill_n(to, columns, T(0));
  };
  if (!from_h) from_h = weights_.h0.data();
  if (!from_c) from_c = weights_.c0.data();
  load(h, from_h, state_);
  load(h + gates_at_, from_h ? from_h + state_ : nullptr, spec_.recurrent_gates());
  if (cell_.has_c) load(c, from_c, spec_.hidden_size);
}

template <class T>
void DirectionForward<T>::store_row(const T* h, const T* c, T* to_h, T* to_c) const {
  if (to_h) {
    std::copy_n(h, state_, to_h);
    std::copy_n(h + gates_at_, spec_.recurrent_gates(), to_h + state_);
  }
  if (to_c && cell_.has_c) std::copy_n(c, spec_.hidden_size, to_c);
}

// Rows that are not alive yet, or have no step at all, must find their initial state in either buffer.
template <class T>
void DirectionForward<T>::load_state(const T* h0, const T* c0) {
  Progress progress;
  for (Index row = 0; row < time_.batch; ++row) {
    progress.add(3 * macs_of_copy * static_cast<double>(state_));
    const Index user = time_.user_row(row);
    for (const Rows<T>& h : states_.h)
      load_row(row_at(h, row), cell_.has_c ? row_at(states_.c, row) : nullptr,
               h0 ? h0 + user * spec_.state_size() : nullptr, c0 ? c0 + user * spec_.hidden_size : nullptr);
  }
  zero_state_ = !h0 && !weights_.h0.data();
}

template <class T>
void DirectionForward<T>::store_state(T* h_out, T* c_out) const {
  Progress progress;
  for (Index row = 0; row < time_.batch; ++row) {
    progress.add(2 * macs_of_copy * static_cast<double>(state_));
    const Index user = time_.user_row(row);
    const Index last = phase_ - (reverse_ ? 0 : time_.seq_len - time_.length_of(row));
    const T* const h = row_at(states_.h[last % 2], row);  // where its last step wrote
    store_row(h, cell_.has_c ? row_at(states_.c, row) : nullptr, h_out ? h_out + user * spec_.state_size() : nullptr,
              c_out ? c_out + user * spec_.hidden_size : nullptr);
  }
}

#define GRU_NATIVE_MEMBERS(T)                                                     \
  template void DirectionForward<T>::load_row(T*, T*, const T*, const T*) const;  \
  template void DirectionForward<T>::store_row(const T*, const T*, T*, T*) const; \
  template void DirectionForward<T>::load_state(const T*, const T*);              \
  template void DirectionForward<T>::store_state(T*, T*) const;
GRU_NATIVE_MEMBERS(float)
GRU_NATIVE_MEMBERS(double)

}  // namespace gru_native
