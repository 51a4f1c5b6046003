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

template <class T, int width>
EIGEN_ALWAYS_INLINE PackedStrides<T, width> strides_of(const Product<T>&, PackedStrides<T, width>) {
  return {};
}
template <class T>
EIGEN_ALWAYS_INLINE RuntimeStrides strides_of(const Product<T>& p, RuntimeStrides) {
  return {p.a_k_stride, p.k_stride};
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

// Rows [row, row + R) of panels [panel, panel + P), k in [k, k + depth).
template <class T, int R, int P, int width, class Strides>
EIGEN_DONT_INLINE void tile_at(const Product<T>& p, Index panel, Index row, Index k, Index depth) {
  const Strides strides = strides_of(p, Strides{});
  const T* a[R];
  const T* start[R];
  T* acc[R];
  for (int r = 0; r < R; ++r) {
    a[r] = row_at(p.a, row + r) + k * strides.a;
    acc[r] = row_at(p.acc, row + r) + panel * p.acc_panel_step;
    start[r] = k == 0 ? row_at(p.start, row + r) + panel * p.acc_panel_step : acc[r];
  }
  Index vectors[P * width];
  for (int q = 0; q < P; ++q)
    for (int w = 0; w < width; ++w) vectors[q * width + w] = q * p.acc_panel_step + p.acc_vector[w];
  GRU_NATIVE_COUNTING(count_tile(p, row, R, panel * width * Lanes<T>::size, P * width * Lanes<T>::size, k, depth));
  tile<T, R, P, width>(a, p.panels + panel * p.panel_stride + k * strides.panel, p.panel_stride, strides, depth, start,
                       acc, vectors);
}

template <class T, int width, class Strides>
struct TileTable {
  using Tile = void (*)(const Product<T>&, Index, Index, Index, Index);
  static EIGEN_ALWAYS_INLINE void rows(const Product<T>& p, Index height, Index panel, Index row, Index k,
                                       Index depth) {
    switch (height) {
      case 1: return tile_at<T, 1, 1, width, Strides>(p, panel, row, k, depth);
      case 2: return tile_at<T, 2, 1, width, Strides>(p, panel, row, k, depth);
      case 3: return tile_at<T, 3, 1, width, Strides>(p, panel, row, k, depth);
      default: break;
    }
    if constexpr (tile_rows<width> >= 4)
      if (height == 4) return tile_at<T, 4, 1, width, Strides>(p, panel, row, k, depth);
    if constexpr (tile_rows<width> >= 6) {
      if (height == 5) return tile_at<T, 5, 1, width, Strides>(p, panel, row, k, depth);
      if (height == 6) return tile_at<T, 6, 1, width, Strides>(p, panel, row, k, depth);
    }
    if constexpr (tile_rows<width> >= 8) {
      if (height == 7) return tile_at<T, 7, 1, width, Strides>(p, panel, row, k, depth);
      if (height == 8) return tile_at<T, 8, 1, width, Strides>(p, panel, row, k, depth);
    }
  }
};

template <class T, int width, class Strides>
void product_of_width(const Product<T>& p) {
  constexpr Index chunk = depth_chunk_bytes / (width * Lanes<T>::size * Index(sizeof(T)));
  const Index panels = p.panel_end - p.panel_begin;
  if (p.row_end - p.row_begin == 1) {  // one row: nothing to reuse, so no chunks; panels side by side instead
    const Index groups = (panels + single_row_panels - 1) / single_row_panels;
    for (Index i = 0; i < groups; ++i) {
      const Cut cut = cut_of(panels, groups, p.last_panel_first ? groups - 1 - i : i);
      const Index panel = p.panel_begin + cut.begin;
      switch (cut.end - cut.begin) {
        case 1: tile_at<T, 1, 1, width, Strides>(p, panel, p.row_begin, 0, p.depth); break;
        case 2: tile_at<T, 1, 2, width, Strides>(p, panel, p.row_begin, 0, p.depth); break;
        default: tile_at<T, 1, single_row_panels, width, Strides>(p, panel, p.row_begin, 0, p.depth);
      }
    }
    return;
  }
  Index blocks = (p.row_end - p.row_begin + row_block - 1) / row_block;  // of nearly equal size
  for (Index begin = p.row_begin, end; begin < p.row_end; begin = end, --blocks) {
    end = begin + (p.row_end - begin + blocks - 1) / blocks;
    // Tiles of nearly equal height: 7 rows are 3 + 2 + 2, not 3 + 3 + 1.
    const Index tiles = (end - begin + tile_rows<width> - 1) / tile_rows<width>;
    const Index height = (end - begin) / tiles, higher = (end - begin) % tiles;
    for (Index i = 0; i < panels; ++i) {
      const Index panel = p.last_panel_first ? p.panel_end - 1 - i : p.panel_begin + i;
      for (Index k = 0; k == 0 || k < p.depth; k += chunk) {
        const Index depth = min(p.depth - k, chunk);
        Index row = begin;
        for (Index n = 0; n < tiles; ++n) {
          const Index rows = height + (n < higher);
          TileTable<T, width, Strides>::rows(p, rows, panel, row, k, depth);
          row += rows;
        }
      }
    }
  }
}

// Inlined into every step, however many cells there are. Products of no depth copy their start, whatever the weights.
template <class T>
EIGEN_ALWAYS_INLINE void product(const Product<T>& p) {
  if constexpr (sizeof(T) == sizeof(float))
    if (p.quantized && p.depth > 0) return p.quantized->kernels->product(p);
  const bool packed = p.a_k_stride == 1 && p.k_stride == p.width * Lanes<T>::size;
  if (p.width == 3) return product_of_width<T, 3, PackedStrides<T, 3>>(p);
  if (packed) return product_of_width<T, 4, PackedStrides<T, 4>>(p);
  return product_of_width<T, 4, RuntimeStrides>(p);
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
