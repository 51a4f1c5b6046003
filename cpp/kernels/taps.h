// Sums over the taps of convolutions: all runs of a row while its sums stay in registers, and the gradients of weights
// from windows where they lie.
#pragma once
#include <cstring>
#include <utility>

#include "kernels/product.h"

namespace gru_native::GRU_NATIVE_ISA {

EIGEN_ALWAYS_INLINE Index max(Index a, Index b) { return a < b ? b : a; }

// x[0] in even lanes and x[1] in odd ones.
EIGEN_ALWAYS_INLINE Lanes<float> both_of_pair(const float* x) {
  using Pairs = packet::packet_traits<double>::type;
  static_assert(sizeof(Pairs) == sizeof(Lanes<float>::Packet));
  double pair;
  std::memcpy(&pair, x, sizeof(pair));
  const Pairs pairs = packet::pset1<Pairs>(pair);
  Lanes<float> lanes;
  std::memcpy(&lanes.p, &pairs, sizeof(pairs));
  return lanes;
}

// f(k of a row, its weights) for the runs of k that are summed now, of so many columns.
template <class T, class F>
EIGEN_ALWAYS_INLINE void each_run(const TapsProduct<T>& p, const T* weights, Index columns, const F& f) {
  for (Index i = 0; i < p.run_count; ++i) {
    const Run run = p.runs[i];
    const Index first = max(run.first, p.k_begin), last = min(run.first + run.depth, p.k_end);
    if (first < last) f(run.from + first - run.first, last - first, weights + first * columns);
  }
}

template <int R, int width, class T>
EIGEN_DONT_INLINE void taps_tile(const TapsProduct<T>& p, Index panel, Index row) {
  constexpr Index lanes = Lanes<T>::size, columns = width * lanes;
  const T* a[R];
  Lanes<T> sum[R][width];
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r) {
    a[r] = row_at(p.a, row + r);
    const T* const start = row_at(p.start, row + r) + panel * columns;
#pragma GCC unroll 4
    for (int c = 0; c < width; ++c) sum[r][c] = Lanes<T>::load(start + c * lanes);
  }
  each_run(p, p.panels + panel * p.panel_stride, columns, [&](Index from, Index depth, const T* w) {
    GRU_NATIVE_COUNTING(count_work(p.work, R * depth * min(columns, p.columns - panel * columns)));
    for (Index k = from; k < from + depth; ++k, w += columns) {
      Lanes<T> column[width];
#pragma GCC unroll 4
      for (int c = 0; c < width; ++c) column[c] = Lanes<T>::load(w + c * lanes);
#pragma GCC unroll 32
      for (int r = 0; r < R; ++r) {
        const Lanes<T> x(a[r][k]);
#pragma GCC unroll 4
        for (int c = 0; c < width; ++c) sum[r][c] = multiply_add(x, column[c], sum[r][c]);
      }
    }
  });
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r) {
    T* const acc = row_at(p.acc, row + r) + panel * columns;
#pragma GCC unroll 4
    for (int c = 0; c < width; ++c) sum[r][c].store(acc + c * lanes);
  }
}

// The sums of neighbours: those of a, then those of b.
template <class P, std::size_t... i>
EIGEN_ALWAYS_INLINE Lanes<float> sums_of_pairs(P a, P b, std::index_sequence<i...>) {
  return Lanes<float>(__builtin_shufflevector(a, b, static_cast<int>(2 * i)...)) +
         Lanes<float>(__builtin_shufflevector(a, b, static_cast<int>(2 * i + 1)...));
}

// start: for each column its own, and 0.
template <int R, int halves>
EIGEN_DONT_INLINE void paired_tile(const TapsProduct<float>& p, const float* start, Index row) {
  constexpr Index lanes = Lanes<float>::size, columns = halves * lanes / 2;
  using EachPair = std::make_index_sequence<Lanes<float>::size>;
  const float* a[R];
  Lanes<float> sum[R][halves];
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r) {
    a[r] = row_at(p.a, row + r);
#pragma GCC unroll 8
    for (int c = 0; c < halves; ++c) sum[r][c] = Lanes<float>::load(start + c * lanes);
  }
  each_run(p, p.panels, columns, [&](Index from, Index depth, const float* w) {
    GRU_NATIVE_COUNTING(count_work(p.work, R * depth * min(columns, p.columns)));
    for (Index k = from; k < from + depth; k += 2, w += 2 * columns) {
      Lanes<float> column[halves];
#pragma GCC unroll 8
      for (int c = 0; c < halves; ++c) column[c] = Lanes<float>::load(w + c * lanes);
#pragma GCC unroll 32
      for (int r = 0; r < R; ++r) {
        const Lanes<float> x = both_of_pair(a[r] + k);
#pragma GCC unroll 8
        for (int c = 0; c < halves; ++c) sum[r][c] = multiply_add(x, column[c], sum[r][c]);
      }
    }
  });
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r) {
    float* const acc = row_at(p.acc, row + r);
#pragma GCC unroll 8
    for (int c = 0; c + 1 < halves; c += 2)
      sums_of_pairs(sum[r][c].p, sum[r][c + 1].p, EachPair{}).store(acc + c * lanes / 2);
    if constexpr (halves % 2 == 1) {
      alignas(64) float both[lanes];
      const auto last = sum[r][halves - 1].p;
      sums_of_pairs(last, last, EachPair{}).store(both);
      std::memcpy(acc + (halves - 1) * lanes / 2, both, sizeof(both) / 2);
    }
  }
}

// f(first row, Height<rows>) for tiles of nearly equal height.
template <int most, class F>
EIGEN_ALWAYS_INLINE void each_tile(Index begin, Index end, const F& f) {
  const Index tiles = (end - begin + most - 1) / most, height = (end - begin) / tiles;
  const Index higher = (end - begin) % tiles;
  Index row = begin;
  for (Index n = 0; n < tiles; ++n) {
    const Index rows = height + (n < higher);
    of_height<most>(rows, [&](auto r) { f(row, r); });
    row += rows;
  }
}

template <int width, class T>
void taps_of_width(const TapsProduct<T>& p) {
  constexpr int most = tile_rows<width>;
  for (Index begin = p.row_begin, end; begin < p.row_end; begin = end) {
    end = min(p.row_end, begin + row_block / most * most);
    for (Index panel = p.panel_begin; panel < p.panel_end; ++panel)
      each_tile<most>(begin, end, [&](Index row, auto r) { taps_tile<r.value, width>(p, panel, row); });
  }
}

template <int halves>
void paired_taps(const TapsProduct<float>& p) {
  constexpr int most = halves <= 3 ? tile_rows<halves> : tile_rows<4> > 3 ? 4 : 2;
  constexpr Index columns = halves * Lanes<float>::size / 2;
  alignas(64) float start[2 * columns] = {};
  for (Index c = 0; c < columns; ++c) start[2 * c] = row_at(p.start, p.row_begin)[c];
  each_tile<most>(p.row_begin, p.row_end, [&](Index row, auto r) { paired_tile<r.value, halves>(p, start, row); });
}

template <class T>
void taps_product(const TapsProduct<T>& p) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (p.halves == 1) return paired_taps<1>(p);
    if (p.halves == 2) return paired_taps<2>(p);
    if (p.halves == 3) return paired_taps<3>(p);
    if (p.halves == 5) return paired_taps<5>(p);
  }
  if (p.width == 1) return taps_of_width<1>(p);
  if (p.width == 2) return taps_of_width<2>(p);
  if (p.width == 3) return taps_of_width<3>(p);
  taps_of_width<4>(p);
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
    for (int c = 0; c < C; ++c)
      sum[r][c] = g.row_begin == 0 ? Lanes<T>(T(0)) : Lanes<T>::load(dw + r * g.dw_stride + c * lanes);
  GRU_NATIVE_COUNTING(
      count_work(Work::mac_weights, R * (g.row_end - g.row_begin) * min(C * lanes, g.columns - column)));
  for (Index row = g.row_begin; row < g.row_end; ++row) {
    const T *const x = row_at(g.x, row) + column, *const d = row_at(g.d, row) + output;
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
  each_tile<tile_rows<C>>(g.output_begin, g.output_end,
                          [&](Index output, auto r) { gradient_tile<r.value, C>(g, output, column); });
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
