#include "engine/matrix/weight_gradients.h"

#include "engine/matrix/matrices.h"

namespace gru_native {
namespace {

constexpr Index depth_at_once = 256;  // rows of x and d: what a core works on then stays in its L2

// Panels of x: [panel][row][columns of a panel], zero where x has no more columns.
template <class T>
void pack_panels(Matrix<const T> x, Index first, Index rows, Index columns, Index width, T* to) {
  for (Index begin = 0; begin < columns; begin += width) {
    const Index count = std::min(width, columns - begin);
    for (Index row = 0; row < rows; ++row, to += width) {
      std::copy_n(x.base + (first + row) * x.stride + begin, count, to);
      std::fill(to + count, to + width, T(0));
    }
  }
}

// [row][outer_granule] of d. A whole slice is copied without a call: its rows lie far apart, and many of them should be
// on their way at once.
template <class T>
void pack_slice(Matrix<const T> d, Index first, Index rows, Index begin, Index count, T* to) {
  const T* from = d.base + first * d.stride + begin;
  for (Index row = 0; row < rows; ++row, from += d.stride, to += outer_granule) {
    if (count < outer_granule) std::copy_n(from, count, to);
    else
      for (Index k = 0; k < outer_granule; ++k) to[k] = from[k];
  }
}

}  // namespace

template <class T>
Index outer_scratch(Index share, Index columns) {
  const Index wide = round_up(columns, panel_columns<T>());
  return (share + 1) * padded_stride(wide, sizeof(T)) + depth_at_once * (wide + outer_granule) +
         round_up(share, outer_granule) + panel_columns<T>();
}

template <class T>
OuterSums<T>::OuterSums(const Outer<T>& o, Share share, T* scratch) : o_(o), share_(share) {
  const Index lanes = kernels_for<T>().lanes, width = panel_columns<T>(), wide = round_up(o.columns, width);
  zeros_ = scratch;
  sums_.stride = padded_stride(wide, sizeof(T));
  sums_.base = zeros_ + sums_.stride;
  x_panels_ = sums_.base + (share.end - share.begin) * sums_.stride;
  d_slice_ = x_panels_ + depth_at_once * wide;
  d_sums_ = d_slice_ + depth_at_once * outer_granule;
  std::fill_n(zeros_, sums_.stride, T(0));
  std::fill_n(d_sums_, round_up(share.end - share.begin, outer_granule), T(0));

  product_.panels = x_panels_;
  product_.panel_end = wide / width;
  product_.k_stride = product_.acc_panel_step = width;
  product_.width = 4;
  for (int v = 0; v < 4; ++v) product_.acc_vector[v] = v * lanes;
  product_.a = {d_slice_, 1, nullptr};
  product_.a_k_stride = outer_granule;
  GRU_NATIVE_COUNTING(product_.needed = {Work::mac_weights, needed_, nullptr, 0, 0, nullptr, o.columns});
}

template <class T>
Index OuterSums<T>::blocks() const {
  return std::max<Index>(1, divide_up(o_.rows, depth_at_once));
}

template <class T>
void OuterSums<T>::load(Index block) {
  row_ = block * depth_at_once;
  product_.depth = std::min(depth_at_once, o_.rows - row_);
  product_.panel_stride = product_.depth * product_.k_stride;
  if (o_.dw) pack_panels(o_.x, row_, product_.depth, o_.columns, product_.k_stride, x_panels_);
}

template <class T>
void OuterSums<T>::add(Index begin, Index end) {
  pack_slice(o_.d, row_, product_.depth, begin, end - begin, d_slice_);
#if defined(GRU_NATIVE_COUNT)
  Needed& n = product_.needed;
  if (o_.needed) n.a = o_.needed + row_ * o_.needed_row + begin * o_.needed_column;
  n.a_row_stride = o_.needed_column, n.a_k_stride = o_.needed_row;
  for (Index c = 0; c < end - begin && o_.db; ++c)
    for (Index k = 0; k < product_.depth && needed_[c]; ++k)
      GRU_NATIVE_EXECUTED(add, n.a ? n.a[c * n.a_row_stride + k * n.a_k_stride] : 1);
#endif
  if (o_.dw) {
    product_.row_end = end - begin;
    product_.acc = {dw(begin), sums_.stride, nullptr};
    if (row_ == 0) product_.start = {zeros_, 0, nullptr};
    else product_.start = {product_.acc.base, sums_.stride, nullptr};
    kernels_for<T>().product(product_);
  }
  if (o_.db) kernels_for<T>().column_sums(d_slice_, outer_granule, product_.depth, end - begin, db(begin));
}

// With one block of rows no slice waits for another: all use the same few rows, which stay in the cache.
template <class T>
T* OuterSums<T>::dw(Index column) const {
  const Index at = column - share_.begin;
  return sums_.base + (blocks() == 1 ? at % outer_granule : at) * sums_.stride;
}

template <class T>
T* OuterSums<T>::db(Index column) const {
  return d_sums_ + (column - share_.begin);
}

template Index outer_scratch<float>(Index, Index);
template Index outer_scratch<double>(Index, Index);
template class OuterSums<float>;
template class OuterSums<double>;

}  // namespace gru_native
