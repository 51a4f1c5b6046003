// Sums over the taps of convolutions whose channels are groups of their own (depthwise): a vector of channels times the
// weights of its lanes, and the gradients of these.
#pragma once
#include "kernels/taps.h"

namespace gru_native::GRU_NATIVE_ISA {

template <int R, class T>
EIGEN_DONT_INLINE void depthwise_tile(const DepthwiseProduct<T>& p, Index channel, Index row) {
  const Index count = min(Lanes<T>::size, p.channels - channel);
  const T* a[R];
  Lanes<T> sum[R];
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r) {
    a[r] = row_at(p.a, row + r) + channel;
    sum[r] = Lanes<T>::load_first(row_at(p.start, row + r) + channel, count);
  }
  GRU_NATIVE_COUNTING(count_work(p.work, R * p.run_count * count));
  const auto add_taps = [&](const auto& load) {
    for (Index i = 0; i < p.run_count; ++i) {
      const Index from = p.runs[i].from;
      const Lanes<T> own = Lanes<T>::load(p.weights + p.runs[i].first * p.stride + channel);
#pragma GCC unroll 32
      for (int r = 0; r < R; ++r) sum[r] = multiply_add(load(a[r] + from), own, sum[r]);
    }
  };
  if (count == Lanes<T>::size) add_taps([](const T* x) { return Lanes<T>::load(x); });
  else add_taps([&](const T* x) { return Lanes<T>::load_first(x, count); });
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r) sum[r].store_first(row_at(p.acc, row + r) + channel, count);
}

template <class T>
void depthwise_product(const DepthwiseProduct<T>& p) {
  for (Index row = p.row_begin, end; row < p.row_end; row = end) {
    end = min(p.row_end, row + row_block);
    for (Index channel = 0; channel < p.channels; channel += Lanes<T>::size)
      each_tile<8>(row, end, [&](Index first, auto r) { depthwise_tile<r.value>(p, channel, first); });
  }
}

// Of so many runs.
template <int count, class T>
EIGEN_DONT_INLINE void depthwise_gradient_tile(const DepthwiseGradient<T>& g, Index channel, Index run) {
  T* const dw = g.dw + run * g.dw_stride + channel;
  Index from[count];
  Lanes<T> sum[count];
#pragma GCC unroll 32
  for (int i = 0; i < count; ++i) {
    from[i] = g.runs[run + i].from;
    sum[i] = g.row_begin == 0 ? Lanes<T>(T(0)) : Lanes<T>::load(dw + i * g.dw_stride);
  }
  GRU_NATIVE_COUNTING(
      count_work(Work::mac_weights, count * (g.row_end - g.row_begin) * min(Lanes<T>::size, g.channels - channel)));
  for (Index row = g.row_begin; row < g.row_end; ++row) {
    const T* const x = row_at(g.x, row) + channel;
    const Lanes<T> d = Lanes<T>::load(row_at(g.d, row) + channel);
#pragma GCC unroll 32
    for (int i = 0; i < count; ++i) sum[i] = multiply_add(d, Lanes<T>::load(x + from[i]), sum[i]);
  }
#pragma GCC unroll 32
  for (int i = 0; i < count; ++i) sum[i].store(dw + i * g.dw_stride);
}

template <class T>
void depthwise_gradient(const DepthwiseGradient<T>& g) {
  for (Index channel = g.channel_begin; channel < g.channel_end; channel += Lanes<T>::size)
    each_tile<8>(0, g.run_count, [&](Index run, auto n) { depthwise_gradient_tile<n.value>(g, channel, run); });
}

}  // namespace gru_native::GRU_NATIVE_ISA
