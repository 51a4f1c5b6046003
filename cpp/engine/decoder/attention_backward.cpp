#include "engine/decoder/attention_backward.h"

#include <algorithm>

#include "engine/matrix/weight_gradients.h"

namespace gru_native {

template <class T>
AttentionBackward<T>::AttentionBackward(const AttentionDecoderSpec& spec, const PackedAttention<T>& w,
                                        const AttentionPanels<T>& transposed, const EncodedMemory<T>& memory,
                                        const Index* memory_of, const Timeline& time, const AttentionLines<T>& lines,
                                        int members, Arena& arena)
    : spec_(spec), w_(w), transposed_(transposed), memory_(memory), memory_of_(memory_of), time_(time), lines_(lines) {
  const Index batch = time.batch, steps = time.seq_len, positions = memory.seq_len, keys = memory.key_size;
  const auto matrix = [&](Index rows, Index columns) { return take_zeroed_matrix<T>(arena, rows, columns); };
  const auto written = [&](Index rows, Index columns) { return take_padded_matrix<T>(arena, rows, columns); };
  dcontext_ = {written(batch * steps, spec.memory_size), steps};
  de_ = {written(batch * steps, positions), steps};
  dquery_ = written(time.rows, keys);
  dweights_ = matrix(batch, 2 * lines.margin + positions + panel_columns<T>());
  if (spec.attention != Attention::dot) dkeys_ = written(memory.positions, keys);
  dh_ = written(memory.positions, spec.memory_size);
  h_across_ = take_across(memory, spec.memory_size, arena);
  if (!by_products()) dv_ = matrix(batch, keys);
  if (location()) {
    dlocation_ = matrix(batch * keys, spec.location_channels);
    dfilter_ = matrix(batch * spec.location_channels, spec.location_width);
  }
  for (int m = 0; m < members; ++m) {
    Room room{};
    room.d = matrix(1, positions).base;
    if (location()) {
      room.keys = matrix(positions, keys);
      room.dp = matrix(positions, keys);
      room.f = matrix(positions, spec.location_channels);
      room.df = matrix(positions, spec.location_channels);
      room.windows = matrix(positions, spec.location_width);
    }
    rooms_.push_back(room);
  }
  zeros_ = matrix(1, std::max({keys, positions, Index(spec.memory_size), Index(spec.hidden_size),
                               Index(spec.location_channels), Index(spec.location_width)}))
               .base;
}

template <class T>
void AttentionBackward<T>::prepare(int member, int members) {
  const Share mine = share_of(memory_.batch, 1, member, members);
  lay_across(memory_, memory_.h, Index(spec_.memory_size), h_across_, mine);
  if (by_products()) return;
  for (Index b = mine.begin; b < mine.end; ++b)  // sums over the steps
    std::fill_n(from_row(dkeys_, memory_.first[b]).base, memory_.length[b] * dkeys_.stride, T(0));
}

template <class T>
void AttentionBackward<T>::load(Index row, const T* from) {
  if (from) std::copy_n(from, memory_.length[memory_of_[row]], from_row(dweights_, row).base + lines_.margin);
}

template <class T>
void AttentionBackward<T>::store(Index row, T* to) const {
  const Index positions = memory_.length[memory_of_[row]];
  std::copy_n(from_row(dweights_, row).base + lines_.margin, positions, to);
  std::fill_n(to + positions, memory_.seq_len - positions, T(0));
}

template <class T>
double AttentionBackward<T>::macs_of_row() const {
  const double positions = static_cast<double>(memory_.seq_len), keys = static_cast<double>(memory_.key_size);
  const double location =
      static_cast<double>(w_.location.depth) * (2 * keys + 3 * static_cast<double>(w_.filter.depth));
  return positions * (static_cast<double>(spec_.memory_size) + 2 * macs_of_function * keys + location) +
         keys * static_cast<double>(spec_.hidden_size);
}

// dp is of V f + U h + b of each position.
template <class T>
void AttentionBackward<T>::location_back(Index row, Index t, const Room& room) {
  const Index positions = memory_.length[memory_of_[row]], channels = spec_.location_channels;
  const Share all{0, positions};
  const auto transposed = [&](const PackedMatrix<T>& w, Matrix<T> a, Index depth, Matrix<T> acc) {
    Product<T> p = product_of_rows(w, rows_from(a, 0), {zeros_, 0, nullptr}, acc, all);
    p.depth = depth;
    multiply(p);
  };
  // to += d^T x over the positions, for the columns of d.
  const auto add = [&](Matrix<T> d, Index outputs, Matrix<const T> x, Index columns, Matrix<T> to) {
    Product<T> p = product_by(x, positions, columns);
    p.a = {d.base, 1, nullptr};
    p.a_k_stride = d.stride;
    p.start = rows_from(to, 0);
    p.acc = {to.base, to.stride, nullptr};
    p.row_end = outputs;
    GRU_NATIVE_COUNTING(p.needed.work = Work::mac_weights);
    multiply(p);
  };
  add(room.dp, memory_.key_size, read_only(room.f), channels, from_row(dlocation_, row * memory_.key_size));
  transposed(transposed_.location, room.dp, memory_.key_size, room.df);
  add(room.df, channels, {lines_.weights.at(row, t), 1}, Index(spec_.location_width),
      from_row(dfilter_, row * channels));
  transposed(transposed_.filter, room.df, channels, room.windows);
  T* const dweights = from_row(dweights_, row).base;
  std::fill_n(dweights, 2 * lines_.margin + positions, T(0));
  GRU_NATIVE_EXECUTED(add, positions * spec_.location_width);
  for (Index j = 0; j < positions; ++j)
    for (Index k = 0; k < spec_.location_width; ++k) dweights[j + k] += from_row(room.windows, j).base[k];
}

// From the gradient of a context to those of the scores, the query and the keys.
template <class T>
void AttentionBackward<T>::scores_back(Index row, Index t, int member) {
  const Room& room = rooms_[static_cast<std::size_t>(member)];
  const Index b = memory_of_[row], positions = memory_.length[b], size = spec_.memory_size, keys = memory_.key_size;
  T *const de = de_.at(row, t), *const dquery = from_row(dquery_, time_.first(t) + row).base;
  const auto row_product = [&](Matrix<const T> panels, Index depth, Index columns, const T* a, const T* start, T* acc) {
    Product<T> p = product_by(panels, depth, columns);
    p.a = {a, 0, nullptr};
    p.start = {start, 0, nullptr};
    p.acc = {acc, 0, nullptr};
    p.row_end = 1;
    GRU_NATIVE_COUNTING(p.needed.work = Work::mac_inputs);
    multiply(p);
  };
  const T* const from_location = location() ? from_row(dweights_, row).base + lines_.margin : zeros_;
  row_product(read_only(memory_.across_of(h_across_, b, size)), size, positions, dcontext_.at(row, t), from_location,
              room.d);
  kernels_for<T>().activation[static_cast<int>(DenseActivation::softmax)].backward(lines_.weights_at(row, t + 1),
                                                                                   room.d, de, positions);
  Matrix<T> from = memory_.rows_of(memory_.keys, b);
  if (by_products()) return row_product(read_only(from), positions, keys, de, zeros_, dquery);
  std::fill_n(dquery, keys, T(0));  // a sum over the positions
  if (location()) from = location_keys(w_, lines_.weights.at(row, t), from, positions, zeros_, room.f, room.keys);
  // Which is made again on the way back.
  GRU_NATIVE_EXECUTED(mac_forward, -positions * location() * spec_.location_channels * (spec_.location_width + keys));
  GRU_NATIVE_EXECUTED(mac_inputs, positions * location() * spec_.location_channels * (spec_.location_width + keys));
  const Matrix<T> dkeys = memory_.rows_of(dkeys_, b);
  in_parts(0, positions, 2 * macs_of_function * static_cast<double>(keys), 1, [&](Index begin, Index end) {
    kernels_for<T>().attention.backward({end - begin, keys, read_only(from_row(from, begin)), lines_.query.at(row, t),
                                         w_.v.data(), de + begin, dquery, from_row(dv_, row).base,
                                         from_row(dkeys, begin), location() ? from_row(room.dp, begin) : Matrix<T>{}});
  });
  if (location()) location_back(row, t, room);
}

template <class T>
void AttentionBackward<T>::step(Matrix<T> ds, Share rows, Index t, int member) {
  if (rows.begin >= rows.end) return;
  for (Index row = rows.begin; row < rows.end; ++row) scores_back(row, t, member);
  const Index first = time_.first(t);
  if (!by_products()) {
    const Matrix<T> to = from_row(ds, first);
    Product<T> p = product_of_rows(transposed_.query, rows_from(dquery_, first), rows_from(to, 0), to, rows);
    p.depth = memory_.key_size;
    return multiply(p);
  }
  GRU_NATIVE_EXECUTED(add, (rows.end - rows.begin) * memory_.key_size);
  for (Index row = first + rows.begin; row < first + rows.end; ++row)
    for (Index k = 0; k < memory_.key_size; ++k) from_row(ds, row).base[k] += from_row(dquery_, row).base[k];
}

// Sums over the steps: keys get de q where scores are products with them, the memory gets a dcontext, and what comes
// back through its keys.
template <class T>
void AttentionBackward<T>::through_time(Share rows) {
  for (Index row = rows.begin; row < rows.end; ++row) {
    const Index b = memory_of_[row], positions = memory_.length[b], steps = time_.length_of(row);
    const Matrix<T> dh = memory_.rows_of(dh_, b);
    // to (+)= a^T x over the steps, for the positions.
    const auto sum = [&](const T* a, Index a_stride, Matrix<T> x, Index columns, bool add, Matrix<T> to) {
      Product<T> p = product_by(read_only(x), steps, columns);
      p.a = {a, 1, nullptr};
      p.a_k_stride = a_stride;
      if (add) p.start = rows_from(to, 0);
      else p.start = {zeros_, 0, nullptr};
      p.acc = {to.base, to.stride, nullptr};
      p.row_end = positions;
      GRU_NATIVE_COUNTING(p.needed.work = Work::mac_inputs);
      multiply(p);
    };
    sum(lines_.weights_at(row, 1), lines_.weights.m.stride, dcontext_.of(row), Index(spec_.memory_size), false, dh);
    const bool dot = spec_.attention == Attention::dot;
    const Matrix<T> dkeys = dot ? dh : memory_.rows_of(dkeys_, b);
    if (by_products()) sum(de_.at(row, 0), de_.m.stride, lines_.query.of(row), memory_.key_size, dot, dkeys);
    if (dot) continue;
    Product<T> p = product_of_rows(transposed_.memory, rows_from(dkeys, 0), rows_from(dh, 0), dh, {0, positions});
    p.depth = memory_.key_size;
    multiply(p);
  }
}

template <class T>
Index AttentionBackward<T>::gradient_scratch(int members) const {
  return weight_gradients_scratch<T>(memory_.key_size, std::max<Index>(spec_.memory_size, spec_.hidden_size), members);
}

template <class T>
void AttentionBackward<T>::sum_over_rows(Matrix<T> of_rows, Index lines, Index columns, T* to, int member,
                                         int members) const {
  if (!to) return;
  const Share mine = share_of(lines, 1, member, members);
  for (Index line = mine.begin; line < mine.end; ++line)
    for (Index c = 0; c < columns; ++c) {
      T sum = 0;
      for (Index row = 0; row < time_.batch; ++row) sum += from_row(of_rows, row * lines + line).base[c];
      to[line * columns + c] = sum;
    }
  GRU_NATIVE_EXECUTED(add, (mine.end - mine.begin) * columns * time_.batch);
}

template <class T>
void AttentionBackward<T>::weight_gradients(Rows<const T> s, const AttentionGradients<T>& g, T* scratch, int member,
                                            int members) const {
  const Index keys = memory_.key_size;
  if (g.memory)
    sum_weight_gradients<T>({memory_.positions, read_only(dkeys_), keys, rows_from(memory_.h, 0),
                             Index(spec_.memory_size), g.memory, g.bias},
                            scratch, member, members);
  if (g.query)
    sum_weight_gradients<T>({time_.rows, read_only(dquery_), keys, s, Index(spec_.hidden_size), g.query, nullptr},
                            scratch, member, members);
  if (!by_products()) sum_over_rows(dv_, 1, keys, g.score, member, members);
  if (!location()) return;
  sum_over_rows(dlocation_, keys, Index(spec_.location_channels), g.location, member, members);
  sum_over_rows(dfilter_, Index(spec_.location_channels), Index(spec_.location_width), g.filter, member, members);
}

template class AttentionBackward<float>;
template class AttentionBackward<double>;

}  // namespace gru_native
