// Sums over the taps of convolutions: all runs of a row while its sums stay in registers, and the gradients of weights
// from windows where they lie.
#pragma once
#include <cstring>

#include "kernels/product.h"

namespace gru_native::GRU_NATIVE_ISA {

EIGEN_ALWAYS_INLINE Index max(Index a, Index b) { return a < b ? b : a; }

// x[0] in even lanes and x[1] in odd ones.
EIGEN_ALWAYS_INLINE Lanes<float> both_of_pair(const float* x) {
  using Pairs = typename packet::packet_traits<double>::type;
  static_assert(sizeof(Pairs) == sizeof(Lanes<float>::Packet));
  double pair;
  std::memcpy(&pair, x, sizeof(pair));
  const Pairs pairs = packet::pset1<Pairs>(pair);
  Lanes<float> lanes;
  std::memcpy(&lanes.p, &pairs, sizeof(pairs));
  return lanes;
}

// sum += a w of one k: for the whole vectors of a panel.
template <int R, int whole, int C, class T>
EIGEN_ALWAYS_INLINE void add_tap(Lanes<T> (&sum)[R][C], const T* const (&a)[R], Index k, const T* w) {
  Lanes<T> column[whole + 1];
#pragma GCC unroll 4
  for (int c = 0; c < whole; ++c) column[c] = Lanes<T>::load(w + c * Lanes<T>::size);
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r) {
    const Lanes<T> x(a[r][k]);
#pragma GCC unroll 4
    for (int c = 0; c < whole; ++c) sum[r][c] = multiply_add(x, column[c], sum[r][c]);
  }
}

template <int R, int whole, bool half, class T>
EIGEN_DONT_INLINE void taps_tile(const TapsProduct<T>& p, Index panel, Index row) {
  constexpr Index lanes = Lanes<T>::size, columns = (whole + half) * lanes;
  constexpr Index pair = (2 * whole + half) * lanes;  // of two k
  const T *a[R], *const weights = p.panels + panel * p.panel_stride;
  Lanes<T> sum[R][whole + half];
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r) {
    a[r] = row_at(p.a, row + r);
    const T* const start = row_at(p.start, row + r) + panel * columns;
#pragma GCC unroll 4
    for (int c = 0; c < whole; ++c) sum[r][c] = Lanes<T>::load(start + c * lanes);
  }
  if constexpr (half) {
    const T* const start = row_at(p.start, row) + whole * lanes;  // of all rows the same
    alignas(64) T both[lanes] = {};
    for (Index i = 0; i < lanes / 2; ++i) both[2 * i] = start[i];
#pragma GCC unroll 32
    for (int r = 0; r < R; ++r) sum[r][whole] = Lanes<T>::load(both);
  }
  for (Index i = 0; i < p.run_count; ++i) {
    const Run run = p.runs[i];
    const Index first = max(run.first, p.k_begin), last = min(run.first + run.depth, p.k_end);
    const T* w = weights + (half ? first / 2 * pair : first * whole * lanes);
    const Index end = run.from + last - run.first;
    GRU_NATIVE_COUNTING(if (first < last)
                            count_work(p.work, R * (last - first) * min(columns, p.columns - panel * columns)));
    for (Index k = run.from + first - run.first; k < end; k += 1 + half) {
      add_tap<R, whole>(sum, a, k, w);
      w += whole * lanes;
      if constexpr (half) {
        add_tap<R, whole>(sum, a, k + 1, w);
        w += whole * lanes;
        const Lanes<T> column = Lanes<T>::load(w);
#pragma GCC unroll 32
        for (int r = 0; r < R; ++r) sum[r][whole] = multiply_add(both_of_pair(a[r] + k), column, sum[r][whole]);
        w += lanes;
      }
    }
  }
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r) {
    T* const acc = row_at(p.acc, row + r) + panel * columns;
#pragma GCC unroll 4
    for (int c = 0; c < whole; ++c) sum[r][c].store(acc + c * lanes);
    if constexpr (half) {
      alignas(64) T both[lanes];
      sum[r][whole].store(both);
      for (Index i = 0; i < lanes / 2; ++i) acc[whole * lanes + i] = both[2 * i] + both[2 * i + 1];
    }
  }
}

// Rows in tiles of nearly equal height, as in rows_of_panel.
template <int whole, bool half, class T>
void taps_of_width(const TapsProduct<T>& p) {
  constexpr int most = tile_rows<whole + half>;
  for (Index begin = p.row_begin, end; begin < p.row_end; begin = end) {
    end = min(p.row_end, begin + row_block / most * most);
    const Index tiles = (end - begin + most - 1) / most, height = (end - begin) / tiles;
    const Index higher = (end - begin) % tiles;
    for (Index panel = p.panel_begin; panel < p.panel_end; ++panel) {
      Index row = begin;
      for (Index n = 0; n < tiles; ++n) {
        const Index rows = height + (n < higher);
        of_height<most>(rows, [&](auto r) { taps_tile<r.value, whole, half>(p, panel, row); });
        row += rows;
      }
    }
  }
}

template <class T>
void taps_product(const TapsProduct<T>& p) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (p.half) {
      if (p.width == 1) return taps_of_width<0, true>(p);
      if (p.width == 2) return taps_of_width<1, true>(p);
      if (p.width == 3) return taps_of_width<2, true>(p);
      return taps_of_width<3, true>(p);
    }
  }
  if (p.width == 1) return taps_of_width<1, false>(p);
  if (p.width == 2) return taps_of_width<2, false>(p);
  if (p.width == 3) return taps_of_width<3, false>(p);
  taps_of_width<4, false>(p);
}

// R outputs by C vectors of columns. Both x and d are read where they lie.
template <int R, int C, class T>
EIGEN_DONT_INLINE void gradient_tile(const TapsGradient<T>& g, Index output, Index column) {
  constexpr Index lanes = Lanes<T>::size;
  T* const dw = g.dw + output * g.dw_stride + column;
  Lanes<T> sum[R][C];
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) sum[r][c] = g.first ? Lanes<T>(T(0)) : Lanes<T>::load(dw + r * g.dw_stride + c * lanes);
  GRU_NATIVE_COUNTING(count_work(Work::mac_weights, R * g.rows * min(C * lanes, g.columns - column)));
  for (Index row = 0; row < g.rows; ++row) {
    const T *const x = g.x + g.x_offset[row] + column, *const d = g.d + g.d_offset[row] + output;
    Lanes<T> v[C];
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) v[c] = Lanes<T>::load(x + c * lanes);
#pragma GCC unroll 32
    for (int r = 0; r < R; ++r) {
      const Lanes<T> each(d[r]);
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) sum[r][c] = multiply_add(each, v[c], sum[r][c]);
    }
  }
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) sum[r][c].store(dw + r * g.dw_stride + c * lanes);
}

template <int C, class T>
void gradient_of_width(const TapsGradient<T>& g, Index column) {
  constexpr int most = tile_rows<C>;
  const Index outputs = g.output_end - g.output_begin, tiles = (outputs + most - 1) / most;
  Index output = g.output_begin;
  for (Index n = 0; n < tiles; ++n) {
    const Index rows = outputs / tiles + (n < outputs % tiles);
    of_height<most>(rows, [&](auto r) { gradient_tile<r.value, C>(g, output, column); });
    output += rows;
  }
}

template <class T>
void taps_gradient(const TapsGradient<T>& g) {
  constexpr Index lanes = Lanes<T>::size;
  Index vectors = (g.columns + lanes - 1) / lanes;
  for (Index column = 0; vectors > 0;) {
    const Index now = vectors == 4 || vectors == 2 || vectors == 1 ? vectors : vectors == 5 ? 2 : 3;
    if (now == 4) gradient_of_width<4>(g, column);
    else if (now == 3) gradient_of_width<3>(g, column);
    else if (now == 2) gradient_of_width<2>(g, column);
    else gradient_of_width<1>(g, column);
    vectors -= now, column += now * lanes;
  }
}

}  // namespace gru_native::GRU_NATIVE_ISA
