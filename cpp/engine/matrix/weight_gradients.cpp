#include "engine/matrix/weight_gradients.h"

#include <algorithm>

#include "engine/matrix/matrices.h"
#include "engine/matrix/narrow.h"

namespace gru_native {
namespace {

constexpr Index depth_at_once = 256;  // rows of x and d: what a core works on then stays in its L2

// Panels of x: [panel][row][columns of a panel], zero where x has no more columns.
template <class T>
void pack_panels(Rows<const T> x, Index first, Index rows, Index columns, Index width, T* to) {
  for (Index begin = 0; begin < columns; begin += width) {
    const Index count = std::min(width, columns - begin);
    for (Index row = 0; row < rows; ++row, to += width) {
      copy_row(row_at(x, first + row) + begin, count, to);
      std::fill(to + count, to + width, T(0));
    }
  }
}

// [row][outputs_at_once] of d. A whole slice is copied without a call: its rows lie far apart, and many of
// them should be on their way at once.
template <class T>
void pack_slice(Matrix<const T> d, Index first, Index rows, Index begin, Index count, T* to) {
  const T* from = d.base + first * d.stride + begin;
  for (Index row = 0; row < rows; ++row, from += d.stride, to += outputs_at_once) {
    if (count < outputs_at_once) copy_row(from, count, to);
    else
      for (Index k = 0; k < outputs_at_once; ++k) to[k] = from[k];
  }
}

// Vectors in a panel of x.
template <class T>
int vectors_for(Index columns) {
  return narrow_width(std::max<Index>(1, divide_up(columns, kernels_for<T>().lanes)));  // of a bias alone: no columns
}

}  // namespace

template <class T>
Index weight_gradients_scratch(Index outputs, Index columns, int members) {
  const Index wide = round_up(columns, panel_columns<T>());
  const Index share = std::min(outputs, outputs / members + 2 * outputs_at_once);  // the largest
  return (share + 1) * padded_stride(wide, sizeof(T)) + depth_at_once * (wide + outputs_at_once) +
         round_up(share, outputs_at_once) + panel_columns<T>();
}

template <class T>
WeightGradientSums<T>::WeightGradientSums(const WeightGradients<T>& g, Share share, T* scratch, bool in_place)
    : g_(g),
      share_(share),
      in_place_(in_place && g.dw && g.columns % (vectors_for<T>(g.columns) * kernels_for<T>().lanes) == 0) {
  const Index width = vectors_for<T>(g.columns) * kernels_for<T>().lanes, wide = round_up(g.columns, width);
  zeros_ = scratch;
  sums_.stride = padded_stride(wide, sizeof(T));
  sums_.base = zeros_ + sums_.stride;
  x_panels_ = sums_.base + (share.end - share.begin) * sums_.stride;
  if (in_place_) sums_ = {g.dw + share.begin * g.columns, g.columns};
  d_slice_ = x_panels_ + depth_at_once * wide;
  d_sums_ = d_slice_ + depth_at_once * outputs_at_once;
  std::fill_n(zeros_, sums_.stride, T(0));
  std::fill_n(d_sums_, round_up(share.end - share.begin, outputs_at_once), T(0));

  product_ = product_by<T>({x_panels_, width}, 0, g.columns);  // its depth is that of a block
  product_.width = vectors_for<T>(g.columns);
  product_.acc_panel_step = width;
  product_.panel_end = wide / width;
  product_.a = {d_slice_, 1, nullptr};
  product_.a_k_stride = outputs_at_once;
  GRU_NATIVE_COUNTING(product_.needed = {Work::mac_weights, needed_, nullptr, 0, 0, nullptr, g.columns});
}

template <class T>
Index WeightGradientSums<T>::blocks() const {
  return std::max<Index>(1, divide_up(g_.rows, depth_at_once));
}

template <class T>
void WeightGradientSums<T>::load(Index block) {
  row_ = block * depth_at_once;
  product_.depth = std::min(depth_at_once, g_.rows - row_);
  product_.panel_stride = product_.depth * product_.k_stride;
  if (g_.dw) pack_panels(g_.x, row_, product_.depth, g_.columns, product_.k_stride, x_panels_);
}

template <class T>
void WeightGradientSums<T>::add(Index begin, Index end) {
  progress_.add(static_cast<double>(product_.depth * outputs_at_once) * static_cast<double>(g_.columns + 1));
  pack_slice(g_.d, row_, product_.depth, begin, end - begin, d_slice_);
#if defined(GRU_NATIVE_COUNT)
  Needed& n = product_.needed;
  if (g_.needed) n.a = g_.needed + row_ * g_.needed_row + begin * g_.needed_column;
  n.a_row_stride = g_.needed_column, n.a_k_stride = g_.needed_row;
  for (Index c = 0; c < end - begin && g_.db; ++c)
    for (Index k = 0; k < product_.depth && needed_[c]; ++k)
      GRU_NATIVE_EXECUTED(add, n.a ? n.a[c * n.a_row_stride + k * n.a_k_stride] : 1);
#endif
  if (g_.dw) {
    product_.row_end = end - begin;
    product_.acc = {dw(begin), sums_.stride, nullptr};
    if (row_ == 0) product_.start = {zeros_, 0, nullptr};
    else product_.start = {product_.acc.base, sums_.stride, nullptr};
    multiply(product_);
  }
  if (g_.db) kernels_for<T>().column_sums(d_slice_, outputs_at_once, product_.depth, end - begin, db(begin));
}

// With one block of rows no slice waits for another: all use the same few rows, which stay in the cache.
template <class T>
T* WeightGradientSums<T>::dw(Index column) const {
  const Index at = column - share_.begin;
  return sums_.base + (blocks() == 1 && !in_place_ ? at % outputs_at_once : at) * sums_.stride;
}

template <class T>
T* WeightGradientSums<T>::db(Index column) const {
  return d_sums_ + (column - share_.begin);
}

template Index weight_gradients_scratch<float>(Index, Index, int);
template Index weight_gradients_scratch<double>(Index, Index, int);
template class WeightGradientSums<float>;
template class WeightGradientSums<double>;

}  // namespace gru_native
