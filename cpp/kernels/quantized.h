// Products with weights of few bits: activations are made narrow row by row, once for all panels, then multiplied by
// tiles that know no more of the weights than their Dot (simd/dot.h).
//
//   int8   acc = start + float(sum of q w) * (scale of the row * scale of the column)      a = q * scale of the row
//   bf16   acc = start + a[0] w[0] + a[1] w[1] + ..
//
// A row's scale is max |a| / 127, of that row alone, so no result depends on the company that a row has. A row with NaN
// or infinity in it gets the scale NaN, and so do its sums.
#pragma once
#include <type_traits>

#include "kernels/product.h"
#include "simd/dot.h"

namespace gru_native::GRU_NATIVE_ISA {

// Rows of a tile of four vectors, and of three: what the registers hold beside the operands.
template <class Dot, int width>
inline constexpr int quantized_tile_rows = tile_rows<width>;
#if defined(__AVX512F__)
template <>
inline constexpr int quantized_tile_rows<Bf16, 4> = 5;
template <>
inline constexpr int quantized_tile_rows<Bf16, 3> = 7;
#elif !defined(__aarch64__)
template <>
inline constexpr int quantized_tile_rows<Int8, 4> = 2;
template <>
inline constexpr int quantized_tile_rows<Int8, 3> = 3;
#if defined(__AVX2__)
template <>
inline constexpr int quantized_tile_rows<Int8Vnni, 4> = 2;
#endif
#endif
// From so many rows on bf16 is made float again for a stretch of k, and all rows are multiplied by that: the same
// operations in the same order, and the registers hold a tile of floats where they would not hold one of bf16.
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr Index expanded_from = row_block + 1;  // never: there are registers enough
#else
inline constexpr Index expanded_from = 3;
#endif

// The scratch of a product: rows of activations, then their scales.
template <class Dot>
struct Scratch {
  using A = typename Dot::Activation;
  static constexpr Index deepest = quantized_scratch_bytes / Index(sizeof(A));  // k of one row at most

  // Whole lanes of k, so that the last operand may be read.
  static EIGEN_ALWAYS_INLINE Index stride(Index depth) { return (depth + Dot::group - 1) / Dot::group * Dot::group; }
  static EIGEN_ALWAYS_INLINE Index rows(Index depth) {
    const Index fit = deepest / (depth > 0 ? stride(depth) : 1);
    return fit < row_block ? fit : row_block;
  }
  static EIGEN_ALWAYS_INLINE A* activations(void* scratch) { return static_cast<A*>(scratch); }
  static EIGEN_ALWAYS_INLINE float* scales(void* scratch) {
    return reinterpret_cast<float*>(static_cast<char*>(scratch) + quantized_scratch_bytes);
  }
};

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

// Of |a|, as integers, in which infinity and NaN are the largest.
EIGEN_ALWAYS_INLINE std::uint32_t largest_size(const float* a, Index n) {
  std::uint32_t largest = 0;
  for (Index k = 0; k < n; ++k) {
    std::uint32_t bits;
    std::memcpy(&bits, a + k, sizeof(bits));
    bits &= 0x7fffffffu;
    largest = bits > largest ? bits : largest;
  }
  return largest;
}

// q[k] = a[k] / scale to the nearest integer, ties to even: in the sum with 1.5 * 2^23 the last bits of a float are
// just that. Returns the scale.
EIGEN_ALWAYS_INLINE float quantize_row(const float* a, std::uint32_t largest, Index n, int zero_point, std::int8_t* q) {
  float size;
  std::memcpy(&size, &largest, sizeof(size));
  constexpr std::uint32_t infinity = 0x7f800000u, least_normal = 0x00800000u;
  const float inverse = largest < least_normal || largest >= infinity ? 0.0f : 127.0f / size;
  for (Index k = 0; k < n; ++k) {
    const float shifted = a[k] * inverse + 12582912.0f;
    std::uint32_t bits;
    std::memcpy(&bits, &shifted, sizeof(bits));
    q[k] = static_cast<std::int8_t>(bits + static_cast<std::uint32_t>(zero_point));
  }
  return largest >= infinity ? __builtin_nanf("") : size / 127.0f;
}

// Rows [begin, end) of p.a, for k in [k, k + depth), into the scratch.
template <class Dot>
EIGEN_ALWAYS_INLINE void convert_rows(const Product<float>& p, Index begin, Index end, Index k, Index depth) {
  using S = Scratch<Dot>;
  const Index stride = S::stride(depth);
  // Each member converts the rows that it reads: the one with the first panels counts them.
  GRU_NATIVE_COUNTING(if (Dot::integer && p.panel_begin == 0 && p.panel_end > 0)
                          count_work(Work::quantize, (end - begin) * depth));
  for (Index row = begin; row < end; ++row) {
    const float* const a = row_at(p.a, row);
    auto* const to = S::activations(p.scratch) + (row - begin) * stride;
    if constexpr (Dot::integer) {
      S::scales(p.scratch)[row - begin] = quantize_row(a + k, largest_size(a, p.depth), depth, Dot::zero_point, to);
      for (Index i = depth; i < stride; ++i) to[i] = 0;  // the weights are 0 there
    } else {
      for (Index i = 0; i < depth; ++i) {
        if constexpr (sizeof(*to) == 2) to[i] = to_bf16(a[k + i]);
        else to[i] = a[k + i];
      }
      for (Index i = depth; i < stride; ++i) to[i] = 0;
    }
  }
}

// Rows [row, row + R), which lie in the scratch from row `at` on, of panels [panel, panel + P). k: where this stretch
// of k begins. The first begins its sums at p.start, later ones go on from p.acc.
template <class Dot, int R, int P, int width>
EIGEN_DONT_INLINE void quantized_tile(const Product<float>& p, Index panel, Index row, Index at, Index k, Index depth) {
  constexpr int C = P * width;
  constexpr Index lanes = Lanes<float>::size, bytes = lanes * 4;  // of a vector
  using S = Scratch<Dot>;
  const QuantizedWeights& w = *p.quantized;
  const Index stride = S::stride(depth), column = panel * width * lanes;
  const Index all_groups = S::stride(p.depth) / Dot::group;
  const float* start[R];
  float* acc[R];
  const typename Dot::Activation* a[R];
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r) {
    acc[r] = row_at(p.acc, row + r) + panel * p.acc_panel_step;
    start[r] = k == 0 ? row_at(p.start, row + r) + panel * p.acc_panel_step : acc[r];
    a[r] = S::activations(p.scratch) + (at + r) * stride;
  }
  GRU_NATIVE_COUNTING(count_tile(p, row, R, column, C * lanes, k, depth));
  GRU_NATIVE_COUNTING(if (Dot::integer && k == 0)
                          count_work(Work::dequantize, R * needed_columns(p, column, C * lanes)));
  Index vectors[C];
  for (int c = 0; c < C; ++c) vectors[c] = c / width * p.acc_panel_step + p.acc_vector[c % width];

  typename Dot::Sum sum[R][C];
#pragma GCC unroll 32
  for (int c = 0; c < C; ++c)
#pragma GCC unroll 32
    for (int r = 0; r < R; ++r) {
      if constexpr (Dot::integer) sum[r][c] = Ints::load(w.offset + k / S::deepest * w.columns + column + c * lanes);
      else sum[r][c] = Lanes<float>::load(start[r] + vectors[c]);
    }

  const char* from[P];
#pragma GCC unroll 32
  for (int q = 0; q < P; ++q)
    from[q] = static_cast<const char*>(w.panels) + ((panel + q) * all_groups + k / Dot::group) * width * bytes;
  for (Index i = 0; i < stride; i += Dot::group) {
    Ints y[C];
#pragma GCC unroll 32
    for (int c = 0; c < C; ++c) y[c] = Ints::load(from[c / width] + c % width * bytes);
#pragma GCC unroll 32
    for (int r = 0; r < R; ++r) {
      const typename Dot::Operand x = Dot::operand(a[r] + i);
#pragma GCC unroll 32
      for (int c = 0; c < C; ++c) sum[r][c] = Dot::add(sum[r][c], x, y[c]);
    }
#pragma GCC unroll 32
    for (int q = 0; q < P; ++q) from[q] += width * bytes;
  }

#pragma GCC unroll 32
  for (int r = 0; r < R; ++r) {
    const Lanes<float> scale(S::scales(p.scratch)[Dot::integer ? at + r : 0]);
#pragma GCC unroll 32
    for (int c = 0; c < C; ++c) {
      Lanes<float> result;
      if constexpr (Dot::integer)
        result = Lanes<float>::load(start[r] + vectors[c]) +
                 to_float(sum[r][c]) * (scale * Lanes<float>::load(w.scale + column + c * lanes));
      else result = sum[r][c];
      result.store(acc[r] + vectors[c]);
    }
  }
}

EIGEN_ALWAYS_INLINE Rows<const float> rows_after(const Rows<const float>& r, Index row) {
  return {r.offset ? r.base : r.base + row * r.stride, r.stride, r.offset ? r.offset + row : nullptr};
}

// As quantized_rows, for bf16 and rows enough (expanded_from).
template <int width>
EIGEN_DONT_INLINE void expanded_rows(const Product<float>& p, Index row, Index count, Index k, Index depth) {
  constexpr Index lanes = Lanes<float>::size, columns = width * lanes;
  constexpr Index chunk = 16384 / (columns * 2 * Index(sizeof(float))) * 2;  // even
  using S = Scratch<Bf16>;
  alignas(64) float wide[chunk * columns];
  const Index stride = S::stride(depth), all_groups = S::stride(p.depth) / Bf16::group;
  const Rows<const float> acc = rows_after({p.acc.base, p.acc.stride, p.acc.offset}, row);
  Product<float> q = p;
  q.panels = wide;
  q.panel_stride = 0;
  q.k_stride = columns;
  q.a_k_stride = 1;
  q.acc = {p.acc.offset ? p.acc.base : p.acc.base + row * p.acc.stride, acc.stride, acc.offset};
  constexpr int most = tile_rows<width>;
  const Index tiles = (count + most - 1) / most, height = count / tiles, higher = count % tiles;
  for (Index i = 0; i < p.panel_end - p.panel_begin; ++i) {
    const Index panel = p.last_panel_first ? p.panel_end - 1 - i : p.panel_begin + i;
    for (Index from = 0; from == 0 || from < depth; from += chunk) {
      const Index some = min(depth - from, chunk);
      const char* bf16 =
          static_cast<const char*>(p.quantized->panels) + (panel * all_groups + (k + from) / 2) * columns * 4;
      for (Index at = 0; at < some; at += 2, bf16 += columns * 4)
        for (int v = 0; v < width; ++v) {
          const Ints pairs = Ints::load(bf16 + v * lanes * 4);
          Bf16::even(pairs).store(wide + at * columns + v * lanes);
          Bf16::odd(pairs).store(wide + (at + 1) * columns + v * lanes);
        }
      q.start = k + from == 0 ? rows_after(p.start, row) : acc;
      q.a = {S::activations(p.scratch) + from, stride, nullptr};
      Index at = 0;
      for (Index n = 0; n < tiles; ++n) {
        const Index rows = height + (n < higher);
        TileTable<float, width, PackedStrides<float, width>>::rows(q, rows, panel, at, 0, some);
        at += rows;
      }
    }
  }
}

// All rows of the scratch, `count` of them from p's row `row` on.
template <class Dot, int width>
EIGEN_ALWAYS_INLINE void quantized_rows(const Product<float>& p, Index row, Index count, Index k, Index depth) {
  const Index panels = p.panel_end - p.panel_begin;
  if (count == 1) {
    const Index groups = (panels + single_row_panels - 1) / single_row_panels;
    for (Index i = 0; i < groups; ++i) {
      const Cut cut = cut_of(panels, groups, p.last_panel_first ? groups - 1 - i : i);
      const Index panel = p.panel_begin + cut.begin;
      switch (cut.end - cut.begin) {
        case 1: quantized_tile<Dot, 1, 1, width>(p, panel, row, 0, k, depth); break;
        case 2: quantized_tile<Dot, 1, 2, width>(p, panel, row, 0, k, depth); break;
        default: quantized_tile<Dot, 1, single_row_panels, width>(p, panel, row, 0, k, depth);
      }
    }
    return;
  }
  if constexpr (std::is_same_v<Dot, Bf16>)
    if (count >= expanded_from) return expanded_rows<width>(p, row, count, k, depth);
  constexpr int most = quantized_tile_rows<Dot, width>;
  const Index tiles = (count + most - 1) / most, height = count / tiles, higher = count % tiles;
  for (Index i = 0; i < panels; ++i) {
    const Index panel = p.last_panel_first ? p.panel_end - 1 - i : p.panel_begin + i;
    Index at = 0;
    for (Index n = 0; n < tiles; ++n) {
      const Index rows = height + (n < higher);
      of_height<most>(rows, [&](auto r) { quantized_tile<Dot, r.value, 1, width>(p, panel, row + at, at, k, depth); });
      at += rows;
    }
  }
}

// What a step does for a block of rows: convert them once, then multiply them by some panels at a time.
template <class Dot>
void quantized_convert(const Product<float>& p) {
  convert_rows<Dot>(p, p.row_begin, p.row_end, 0, p.depth);
}
template <class Dot>
void quantized_multiply(const Product<float>& p) {
  if (p.width == 3) quantized_rows<Dot, 3>(p, p.row_begin, p.row_end - p.row_begin, 0, p.depth);
  else quantized_rows<Dot, 4>(p, p.row_begin, p.row_end - p.row_begin, 0, p.depth);
}
template <class Dot>
Index quantized_rows_at_once(Index depth) {
  return Scratch<Dot>::rows(depth);
}

// The whole product, of any depth.
template <class Dot>
void quantized_product(const Product<float>& given) {
  using S = Scratch<Dot>;
  alignas(64) char scratch[quantized_scratch];
  Product<float> p = given;
  if (!p.scratch) p.scratch = scratch;
  const Index at_once = p.depth > S::deepest ? 1 : S::rows(p.depth);
  for (Index row = p.row_begin; row < p.row_end; row += at_once) {
    const Index count = min(at_once, p.row_end - row);
    for (Index k = 0; k == 0 || k < p.depth; k += S::deepest) {
      const Index depth = min(p.depth - k, S::deepest);
      convert_rows<Dot>(p, row, row + count, k, depth);
      if (p.width == 3) quantized_rows<Dot, 3>(p, row, count, k, depth);
      else quantized_rows<Dot, 4>(p, row, count, k, depth);
    }
  }
}

template <class Dot>
constexpr QuantizedKernels quantized_kernels() {
  return {Dot::group,
          Scratch<Dot>::deepest,
          Dot::zero_point,
          &quantized_rows_at_once<Dot>,
          &quantized_convert<Dot>,
          &quantized_multiply<Dot>,
          &quantized_product<Dot>};
}

}  // namespace gru_native::GRU_NATIVE_ISA
