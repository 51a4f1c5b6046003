#include "engine/decoder/attention.h"

#include <algorithm>

namespace gru_native {

template <class T>
AttentionForward<T>::AttentionForward(const AttentionDecoderSpec& spec, const PackedAttention<T>& w,
                                      const EncodedMemory<T>& memory, const Index* memory_of, Index batch, Index steps,
                                      bool keep, int members, Arena& arena)
    : spec_(spec), w_(w), memory_(memory), memory_of_(memory_of), keep_(keep) {
  const bool location = spec.attention == Attention::location;
  lines_.query.slots = keep ? steps : 1;
  lines_.query.m = take_zeroed_matrix<T>(arena, batch * lines_.query.slots, memory.key_size);
  lines_.margin = location ? spec.location_width / 2 : 0;
  lines_.weights.slots = keep ? steps + 1 : 2;
  lines_.weights.m = take_zeroed_matrix<T>(arena, batch * lines_.weights.slots,
                                           2 * lines_.margin + memory.seq_len + panel_columns<T>());
  if (location && !keep) before_ = take_zeroed_matrix<T>(arena, batch, memory.seq_len);
  for (int m = 0; m < members; ++m) {
    Room room{};
    room.context = take_zeroed_matrix<T>(arena, 1, spec.memory_size).base;
    if (location) {
      room.f = take_zeroed_matrix<T>(arena, memory.seq_len, spec.location_channels);
      room.keys = take_zeroed_matrix<T>(arena, memory.seq_len, memory.key_size);
    }
    rooms_.push_back(room);
  }
  const Index widest =
      std::max({memory.key_size, memory.seq_len, Index(spec.memory_size), Index(spec.location_channels)});
  zeros_ = take_zeroed_matrix<T>(arena, 1, widest).base;
}

template <class T>
void AttentionForward<T>::load(Index row, const T* from) {
  const Index line = slot(0), positions = memory_.length[memory_of_[row]];
  if (from) std::copy_n(from, positions, lines_.weights_at(row, line));
  else std::fill_n(lines_.weights_at(row, line), positions, T(0));
  // In generation the row may have looked at a longer sequence before; the filter reads past the end of this one.
  for (Index s = 0; !keep_ && s < lines_.weights.slots; ++s)
    std::fill_n(lines_.weights_at(row, s) + positions, memory_.seq_len - positions, T(0));
}

template <class T>
void AttentionForward<T>::store(Index row, Index t, T* to) const {
  const Index positions = memory_.length[memory_of_[row]];
  std::copy_n(weights(row, t), positions, to);
  std::fill_n(to + positions, memory_.seq_len - positions, T(0));
}

// Only location attention reads them.
template <class T>
void AttentionForward<T>::choose(const Index* parents, Index rows) {
  if (!before_.base) return;
  const Index line = slot(0);
  for (Index row = 0; row < rows; ++row)
    std::copy_n(lines_.weights_at(parents[row], line), memory_.seq_len, from_row(before_, row).base);
  for (Index row = 0; row < rows; ++row) load(row, from_row(before_, row).base);
}

template <class T>
double AttentionForward<T>::macs_of_row() const {
  const double positions = static_cast<double>(memory_.seq_len), keys = static_cast<double>(memory_.key_size);
  const bool product = memory_.across.base != nullptr;
  return keys * static_cast<double>(w_.query.depth) +
         positions * (keys * (product ? 1 : macs_of_function) + static_cast<double>(spec_.memory_size) +
                      static_cast<double>(w_.location.depth) * keys + 2 * macs_of_function);
}

template <class T>
void AttentionForward<T>::queries(Rows<const T> s, Share rows, Index t) const {
  const Rows<T> to = lines_.query.across(keep_ ? t : 0);
  if (w_.query.panels > 0) {
    Product<T> p = product_of_rows(w_.query, s, {zeros_, 0, nullptr}, {}, rows);
    p.acc = to;
    return multiply(p);
  }
  for (Index row = rows.begin; row < rows.end; ++row) std::copy_n(row_at(s, row), memory_.key_size, row_at(to, row));
}

template <class T>
Matrix<T> location_keys(const PackedAttention<T>& w, const T* weights_before, Matrix<T> keys, Index positions,
                        const T* zeros, Matrix<T> f, Matrix<T> to) {
  const Share all{0, positions};
  multiply(w.filter, {weights_before, 1, nullptr}, {zeros, 0, nullptr}, f, all);  // windows overlap
  multiply(w.location, rows_from(f, 0), rows_from(keys, 0), to, all);
  return to;
}

template <class T>
const T* AttentionForward<T>::context(Index row, Index t, int member) const {
  const Room& room = rooms_[static_cast<std::size_t>(member)];
  const Index b = memory_of_[row], positions = memory_.length[b];
  const T* const query = lines_.query.at(row, keep_ ? t : 0);
  T* const e = lines_.weights_at(row, slot(t + 1));
  if (memory_.across.base) {
    Product<T> p =
        product_by(read_only(memory_.across_of(memory_.across, b, memory_.key_size)), memory_.key_size, positions);
    p.a = {query, 0, nullptr};
    p.start = {zeros_, 0, nullptr};
    p.acc = {e, 0, nullptr};
    p.row_end = 1;
    multiply(p);
  } else {
    Matrix<T> keys = memory_.rows_of(memory_.keys, b);
    if (w_.filter.panels > 0)
      keys = location_keys(w_, lines_.weights.at(row, slot(t)), keys, positions, zeros_, room.f, room.keys);
    in_parts(0, positions, macs_of_function * static_cast<double>(memory_.key_size), 1, [&](Index begin, Index end) {
      kernels_for<T>().attention.forward(
          {end - begin, memory_.key_size, read_only(from_row(keys, begin)), query, w_.v.data(), e + begin});
    });
  }
  kernels_for<T>().activation[static_cast<int>(DenseActivation::softmax)].forward(e, e, positions);
  Product<T> p = product_by(read_only(memory_.rows_of(memory_.h, b)), positions, Index(spec_.memory_size));
  p.a = {e, 0, nullptr};
  p.start = {zeros_, 0, nullptr};
  p.acc = {room.context, 0, nullptr};
  p.row_end = 1;
  multiply(p);
  return room.context;
}

#define GRU_NATIVE_ATTENTION(T)                                                                                \
  template class AttentionForward<T>;                                                                          \
  template Matrix<T> location_keys(const PackedAttention<T>&, const T*, Matrix<T>, Index, const T*, Matrix<T>, \
                                   Matrix<T>);
GRU_NATIVE_ATTENTION(float)
GRU_NATIVE_ATTENTION(double)

}  // namespace gru_native
