// A whole product from tiles: blocks of rows, then panels, then chunks of k that keep a panel's chunk in L1.
// Sums that wait between chunks are stored exactly, so cutting k changes no bit.
#pragma once
#include "kernels/tile.h"

namespace gru_native::GRU_NATIVE_ISA {

inline constexpr Index row_block = 64;       // at most so many rows share a panel's chunk while it is in L1
inline constexpr Index depth_chunk_bytes = 32768;  // of a panel: cutting k twice as often costs more than L1 misses

EIGEN_ALWAYS_INLINE Index min(Index a, Index b) { return a < b ? a : b; }

// Part i of n things in parts of nearly equal size. One part is the common case of small layers, and divisions take
// long.
struct Cut {
  Index begin, end;
};
EIGEN_ALWAYS_INLINE Cut cut_of(Index n, Index parts, Index i) {
  if (parts == 1) return {0, n};
  return {n * i / parts, n * (i + 1) / parts};
}

template <class R>
EIGEN_ALWAYS_INLINE auto row_at(const R& rows, Index i) {
  return rows.base + (rows.offset ? rows.offset[i] : i * rows.stride);
}

template <class T, class Form, int width>
EIGEN_ALWAYS_INLINE PackedStrides<Form, width> strides_of(const Product<T>&, PackedStrides<Form, width>) {
  return {};
}
template <class T>
EIGEN_ALWAYS_INLINE RuntimeStrides strides_of(const Product<T>& p, RuntimeStrides) {
  return {p.a_k_stride, p.k_stride};
}

// Rows of a tile at most.
template <class Form, int width>
inline constexpr int form_rows = tile_rows<width>;

// f(Height<n>) for an n from 1 to most.
template <int n>
struct Height {
  static constexpr int value = n;
};
template <int most, class F>
EIGEN_ALWAYS_INLINE void of_height(Index n, const F& f) {
  if (n == most) return f(Height<most>{});
  if constexpr (most > 1) of_height<most - 1>(n, f);
}

#if defined(GRU_NATIVE_COUNT)
template <class T>
Index needed_columns(const Product<T>& p, Index column, Index columns) {
  Index wanted = 0;
  for (Index c = column; c < column + columns; ++c)
    wanted += p.needed.columns ? p.needed.columns[c] : c < p.needed.columns_end;
  return wanted;
}
template <class T>
void count_tile(const Product<T>& p, Index row, Index rows, Index column, Index columns, Index k, Index depth) {
  const Needed& n = p.needed;
  Index macs = 0;
  for (Index r = row; r < row + rows; ++r)
    if (!n.rows || n.rows[r])
      for (Index i = k; i < k + depth; ++i) macs += n.a ? n.a[r * n.a_row_stride + i * n.a_k_stride] : 1;
  count_work(n.work, macs * needed_columns(p, column, columns));
}
#endif

// What a tile takes from a product: weights from panel `panel` on, activations of rows, for k in [k, k + depth). A sum
// begins at begin(start, c) and ends up as end(sum, start, scale of its row, c); c counts columns of the tile.
template <class Form>
struct Source;
template <class T>
struct Source<Full<T>> {
  const Product<T>& p;
  const Index k;
  const T* const weights;
  const Index panel_stride;
  struct Scale {};

  EIGEN_ALWAYS_INLINE Source(const Product<T>& p, Index panel, Index k, Index)
      : p(p), k(k), weights(p.panels + panel * p.panel_stride + k * p.k_stride), panel_stride(p.panel_stride) {}
  EIGEN_ALWAYS_INLINE const T* row(Index i) const { return row_at(p.a, i) + k * p.a_k_stride; }
  EIGEN_ALWAYS_INLINE Scale scale(Index) const { return {}; }
  EIGEN_ALWAYS_INLINE Lanes<T> begin(const T* start, Index) const { return Lanes<T>::load(start); }
  EIGEN_ALWAYS_INLINE Lanes<T> end(Lanes<T> sum, const T*, Scale, Index) const { return sum; }
};

template <class Form, class Strides>
inline constexpr bool is_packed_numbers = false;
template <class T, int width>
inline constexpr bool is_packed_numbers<Full<T>, PackedStrides<Full<T>, width>> = true;

// Rows [row, row + R) of panels [panel, panel + P), k in [k, k + depth). k = 0 begins at p.start, later ones at p.acc.
// Of one panel, C of its vectors from `first` on; else all.
template <class Form, int R, int P, int width, class Strides, int C = P * width>
EIGEN_DONT_INLINE void tile_at(const Product<typename Form::Number>& p, Index panel, Index row, Index k, Index depth,
                               int first = 0) {
  static_assert(P == 1 || C == P * width);
  using T = typename Form::Number;
  constexpr Index lanes = Lanes<T>::size;
  const Source<Form> from(p, panel, k, depth);
  const typename Form::Activation* a[R];
  const T* start[R];
  T* acc[R];
  for (int r = 0; r < R; ++r) {
    a[r] = from.row(row + r);
    acc[r] = row_at(p.acc, row + r) + panel * p.acc_panel_step;
    start[r] = k == 0 ? row_at(p.start, row + r) + panel * p.acc_panel_step : acc[r];
  }
  Index vectors[C];
  for (int c = 0; c < C; ++c) vectors[c] = c / width * p.acc_panel_step + p.acc_vector[first + c % width];
  GRU_NATIVE_COUNTING(const Index column = (panel * width + first) * lanes);
  GRU_NATIVE_COUNTING(count_tile(p, row, R, column, C * lanes, k, depth));
  GRU_NATIVE_COUNTING(if (Form::integer && k == 0)
                          count_work(Work::dequantize, R * needed_columns(p, column, C * lanes)));

  typename Form::Sum sum[R][C];
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 32
    for (int c = 0; c < C; ++c) sum[r][c] = from.begin(start[r] + vectors[c], c * lanes);
  const auto add_all = [&] {
    tile<Form, R, P, C / P>(sum, a, from.weights + first * lanes, from.panel_stride, strides_of(p, Strides{}),
                            (depth + Form::group - 1) / Form::group);
  };
  if constexpr (is_packed_numbers<Form, Strides> && C == P * width) {
    if (p.sums == 2) tile_in_two_sums<P, width>(sum, a, from.weights, from.panel_stride, depth);
    else add_all();
  } else {
    add_all();
  }
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r) {
    const auto scale = from.scale(row + r);
#pragma GCC unroll 32
    for (int c = 0; c < C; ++c) from.end(sum[r][c], start[r] + vectors[c], scale, c * lanes).store(acc[r] + vectors[c]);
  }
}

// One row: nothing to reuse, so no chunks of k; panels side by side instead.
template <class Form, int width, class Strides>
EIGEN_ALWAYS_INLINE void single_row(const Product<typename Form::Number>& p, Index row, Index k, Index depth) {
  const Index panels = p.panel_end - p.panel_begin;
  const Index groups = (panels + single_row_panels - 1) / single_row_panels;
  for (Index i = 0; i < groups; ++i) {
    const Cut cut = cut_of(panels, groups, p.last_panel_first ? groups - 1 - i : i);
    const Index panel = p.panel_begin + cut.begin;
    switch (cut.end - cut.begin) {
      case 1: tile_at<Form, 1, 1, width, Strides>(p, panel, row, k, depth); break;
      case 2: tile_at<Form, 1, 2, width, Strides>(p, panel, row, k, depth); break;
      default: tile_at<Form, 1, single_row_panels, width, Strides>(p, panel, row, k, depth);
    }
  }
}

// Rows of one panel, in tiles of nearly equal height: 7 rows are 3 + 2 + 2, not 3 + 3 + 1. Where tiles of 6 would be 4
// + 3 or 4 + 4, all rows are one tile of half a panel, and then one of the other half: the first of two tiles would
// wait for the weights, which the second then finds in the cache.
template <class Form, int width, class Strides>
EIGEN_ALWAYS_INLINE void rows_of_panel(const Product<typename Form::Number>& p, Index panel, Index begin, Index end,
                                       Index k, Index depth) {
  constexpr int most = form_rows<Form, width>;
  if constexpr (width == 4 && most == 6 && is_packed_numbers<Form, Strides>) {
    const auto in_halves = [&](auto rows) {
      for (const int first : {0, 2}) tile_at<Form, rows.value, 1, width, Strides, 2>(p, panel, begin, k, depth, first);
    };
    if (p.sums != 2 && end - begin == 7) return in_halves(Height<7>{});
    if (p.sums != 2 && end - begin == 8) return in_halves(Height<8>{});
  }
  const Index tiles = (end - begin + most - 1) / most, height = (end - begin) / tiles, higher = (end - begin) % tiles;
  Index row = begin;
  for (Index n = 0; n < tiles; ++n) {
    const Index rows = height + (n < higher);
    of_height<most>(rows, [&](auto r) { tile_at<Form, r.value, 1, width, Strides>(p, panel, row, k, depth); });
    row += rows;
  }
}

// f(panel) for each panel of the product.
template <class T, class F>
EIGEN_ALWAYS_INLINE void each_panel(const Product<T>& p, const F& f) {
  for (Index i = 0; i < p.panel_end - p.panel_begin; ++i)
    f(p.last_panel_first ? p.panel_end - 1 - i : p.panel_begin + i);
}

template <class T, int width, class Strides>
void product_of_width(const Product<T>& p) {
  constexpr Index chunk = depth_chunk_bytes / (width * Lanes<T>::size * Index(sizeof(T)));
  if (p.row_end - p.row_begin == 1) return single_row<Full<T>, width, Strides>(p, p.row_begin, 0, p.depth);
  Index blocks = (p.row_end - p.row_begin + row_block - 1) / row_block;  // of nearly equal size
  for (Index begin = p.row_begin, end; begin < p.row_end; begin = end, --blocks) {
    end = begin + (p.row_end - begin + blocks - 1) / blocks;
    each_panel(p, [&](Index panel) {
      for (Index k = 0; k == 0 || k < p.depth; k += chunk)
        rows_of_panel<Full<T>, width, Strides>(p, panel, begin, end, k, min(p.depth - k, chunk));
    });
  }
}

// One vector of columns, in four sums, so that few rows hide how long a multiply-add takes.
template <int R, class T>
EIGEN_ALWAYS_INLINE void narrow_rows(const Product<T>& p, Index row) {
  constexpr int sums = 4;
  Lanes<T> sum[R][sums];
  const T* a[R];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
    a[r] = row_at(p.a, row + r);
    sum[r][0] = Lanes<T>::load(row_at(p.start, row + r));
#pragma GCC unroll 4
    for (int s = 1; s < sums; ++s) sum[r][s] = Lanes<T>(T(0));
  }
  const T* column = p.panels;
  Index k = 0;
  for (; k + sums <= p.depth; k += sums) {
#pragma GCC unroll 4
    for (int s = 0; s < sums; ++s, column += p.k_stride) {
      const Lanes<T> w = Lanes<T>::load(column);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) sum[r][s] = multiply_add(Lanes<T>(a[r][k + s]), w, sum[r][s]);
    }
  }
#pragma GCC unroll 4
  for (int s = 0; s < sums - 1; ++s, column += p.k_stride) {
    if (k + s >= p.depth) break;
    const Lanes<T> w = Lanes<T>::load(column);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) sum[r][s] = multiply_add(Lanes<T>(a[r][k + s]), w, sum[r][s]);
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
    GRU_NATIVE_COUNTING(count_tile(p, row + r, 1, 0, Lanes<T>::size, 0, p.depth));
    ((sum[r][0] + sum[r][1]) + (sum[r][2] + sum[r][3])).store(row_at(p.acc, row + r) + p.acc_vector[0]);
  }
}
template <class T>
EIGEN_DONT_INLINE void narrow_product(const Product<T>& p) {
  Index row = p.row_begin;
  for (; row + 4 <= p.row_end; row += 4) narrow_rows<4>(p, row);
  for (; row < p.row_end; ++row) narrow_rows<1>(p, row);
}

// One column: rows are read as vectors, and each lane sums every lanes-th k. Nothing else is written.
template <int R, class T>
EIGEN_ALWAYS_INLINE void column_rows(const Product<T>& p, Index row) {
  using V = Lanes<T>;
  V sum[R];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) sum[r] = V(T(0));
  for (Index k = 0; k < p.depth; k += V::size) {
    const V w = V::load(p.panels + k);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) sum[r] = multiply_add(V::load_first(row_at(p.a, row + r) + k, p.depth - k), w, sum[r]);
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
    GRU_NATIVE_COUNTING(count_tile(p, row + r, 1, 0, 1, 0, p.depth));
    *row_at(p.acc, row + r) = *row_at(p.start, row + r) + first_of(sum_of_lanes(sum[r]));
  }
}
template <class T>
EIGEN_DONT_INLINE void column_product(const Product<T>& p) {
  Index row = p.row_begin;
  for (; row + 4 <= p.row_end; row += 4) column_rows<4>(p, row);
  for (; row < p.row_end; ++row) column_rows<1>(p, row);
}

// Inlined into every step, however many cells there are. Products of no depth copy their start, whatever the weights.
template <class T>
EIGEN_ALWAYS_INLINE void product(const Product<T>& p) {
  if constexpr (sizeof(T) == sizeof(float))
    if (p.quantized && p.depth > 0) return p.quantized->kernels->product(p);
  const bool packed = p.a_k_stride == 1 && p.k_stride == p.width * Lanes<T>::size;
  if (p.width == 3) return product_of_width<T, 3, PackedStrides<Full<T>, 3>>(p);
  if (packed) return product_of_width<T, 4, PackedStrides<Full<T>, 4>>(p);
  return product_of_width<T, 4, RuntimeStrides>(p);
}

// The same for narrow panels, too, and for any strides, which no step of a cell has: inlined nowhere.
template <class T>
void product_of_any_width(const Product<T>& p) {
  if (p.one_column) return column_product(p);
  if (p.sums == 4) return narrow_product(p);
  const auto of_width = [&p](auto width) {
    constexpr int vectors = decltype(width)::value;
    const bool packed = p.a_k_stride == 1 && p.k_stride == vectors * Lanes<T>::size;
    if (packed) product_of_width<T, vectors, PackedStrides<Full<T>, vectors>>(p);
    else product_of_width<T, vectors, RuntimeStrides>(p);
  };
  if (p.width == 1) return of_width(Height<1>{});
  if (p.width == 2) return of_width(Height<2>{});
  if (p.width == 3 && (p.a_k_stride != 1 || p.k_stride != 3 * Lanes<T>::size)) return of_width(Height<3>{});
  product(p);
}

template <class T>
void column_sums(const T* a, Index stride, Index rows, Index columns, T* sums) {
  using V = Lanes<T>;
  for (Index c = 0; c < columns; c += V::size) {
    V sum = V::load(sums + c);
    for (Index r = 0; r < rows; ++r) sum = sum + V::load(a + r * stride + c);
    sum.store(sums + c);
  }
}

}  // namespace gru_native::GRU_NATIVE_ISA
