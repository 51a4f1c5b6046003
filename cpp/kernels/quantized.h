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
#include "simd/whole.h"

namespace gru_native::GRU_NATIVE_ISA {

// Where operands need more registers than one, there are fewer for sums.
#if defined(__AVX512F__) || defined(__aarch64__)
template <>
inline constexpr int form_rows<Bf16, 4> = 5;
template <>
inline constexpr int form_rows<Bf16, 3> = 7;
#else
template <>
inline constexpr int form_rows<Int8, 4> = 2;
template <>
inline constexpr int form_rows<Int8, 3> = 3;
#endif
// From so many rows on bf16 is made float again for a stretch of k, and all rows are multiplied by that: the same
// operations in the same order, and the registers hold a tile of floats where they would not hold one of bf16.
template <class Dot>
inline constexpr Index expanded_from = 0;  // 0: never, there are registers enough
#if !defined(__AVX512F__) && !defined(__aarch64__)
template <>
inline constexpr Index expanded_from<Bf16> = 3;
#endif

// The scratch of a product: rows of activations, then their scales.
template <class Dot>
struct Scratch {
  using A = typename Dot::Activation;
  static constexpr Index deepest = quantized_scratch_bytes / Index(sizeof(A));  // k of one row at most
  static constexpr Index step = sizeof(A) < sizeof(float) ? Lanes<float>::size : Dot::group;

  static EIGEN_ALWAYS_INLINE Index groups(Index depth) { return (depth + Dot::group - 1) / Dot::group; }
  // From row to row. Whole vectors of what is converted, so that their last one may be written; 0 in the last lane.
  static EIGEN_ALWAYS_INLINE Index stride(Index depth) { return (depth + step - 1) / step * step; }
  static EIGEN_ALWAYS_INLINE Index rows(Index depth) {
    const Index each = stride(depth);
    return each * row_block <= deepest ? row_block : deepest / each;
  }
  static EIGEN_ALWAYS_INLINE A* activations(void* scratch) { return static_cast<A*>(scratch); }
  static EIGEN_ALWAYS_INLINE float* scales(void* scratch) {
    return reinterpret_cast<float*>(static_cast<char*>(scratch) + quantized_scratch_bytes);
  }
};

// f(numbers from k on, k) for all n of a, in vectors; behind the last one zeros. `one`: n is for one vector, and a loop
// over it would take as long as the numbers do.
template <bool one, class F>
EIGEN_ALWAYS_INLINE void each_vector(const float* a, Index n, const F& f) {
  constexpr Index lanes = Lanes<float>::size;
  if constexpr (one) return f(n == lanes ? Lanes<float>::load(a) : load_some(a, n), 0);
  Index k = 0;
  for (; k + lanes <= n; k += lanes) f(Lanes<float>::load(a + k), k);
  if (k < n) f(load_some(a + k, n - k), k);
}

// max |a|; infinity or NaN if one of them is.
template <bool one>
EIGEN_ALWAYS_INLINE float largest_size(const float* a, Index n) {
  Ints largest = sizes(Lanes<float>(0.0f));
  each_vector<one>(a, n, [&](Lanes<float> x, Index) { largest = larger(largest, sizes(x)); });
  return largest_of_lanes(largest);
}

// 127 / size, and the scale that a row of this size gets.
struct RowScale {
  float inverse, scale;
};
EIGEN_ALWAYS_INLINE RowScale scale_of(float size) {
  constexpr float infinity = __builtin_inff(), least_normal = 1.17549435e-38f;
  const bool is_finite = size < infinity;
  return {size >= least_normal && is_finite ? 127.0f / size : 0.0f, is_finite ? size / 127.0f : __builtin_nanf("")};
}

// q[k] = a[k] / scale to the nearest integer, ties to even.
template <bool one>
EIGEN_ALWAYS_INLINE void quantize_row(const float* a, float inverse, Index n, int zero_point, std::int8_t* q) {
  const Lanes<float> by(inverse);
  each_vector<one>(a, n, [&](Lanes<float> x, Index k) { store_whole(x * by, zero_point, q + k); });
}

// One row by itself, in the form of its weights, 0 behind it up to a whole group. Returns its scale, if it has one.
template <class Dot, bool one>
EIGEN_ALWAYS_INLINE float convert_row(const float* a, Index n, typename Dot::Activation* to) {
  if constexpr (Dot::integer) {
    const RowScale s = scale_of(largest_size<one>(a, n));
    quantize_row<one>(a, s.inverse, n, Dot::zero_point, to);
    return s.scale;
  } else {
    each_vector<one>(a, n, [&](Lanes<float> x, Index k) { Dot::store_activations(x, to + k); });
    return 0;
  }
}

template <class Dot, bool one>
EIGEN_ALWAYS_INLINE void quantize_rows(const Product<float>& p, Index k, Index depth) {
  using S = Scratch<Dot>;
  const Index stride = S::stride(depth), rows = p.row_end - p.row_begin;
  std::int8_t* const to = S::activations(p.scratch);
  float* const scales = S::scales(p.scratch);
  if (rows == 1) {
    const float* const a = row_at(p.a, p.row_begin);
    const RowScale s = scale_of(largest_size<one>(a, p.depth));
    scales[0] = s.scale;
    return quantize_row<one>(a + k, s.inverse, depth, Dot::zero_point, to);
  }
  // The divisions of all rows side by side: one by one they take longer than a short row's numbers.
  float sizes[row_block], inverses[row_block];
  for (Index i = 0; i < rows; ++i) sizes[i] = largest_size<one>(row_at(p.a, p.row_begin + i), p.depth);
  for (Index i = 0; i < rows; ++i) {
    const RowScale s = scale_of(sizes[i]);
    inverses[i] = s.inverse, scales[i] = s.scale;
  }
  for (Index i = 0; i < rows; ++i)
    quantize_row<one>(row_at(p.a, p.row_begin + i) + k, inverses[i], depth, Dot::zero_point, to + i * stride);
}

// The rows of p.a, for k in [k, k + depth), into the scratch.
template <class Dot>
EIGEN_ALWAYS_INLINE void convert_rows(const Product<float>& p, Index k, Index depth) {
  using S = Scratch<Dot>;
  const Index stride = S::stride(depth), rows = p.row_end - p.row_begin;
  // Each member converts the rows that it reads: the one with the first panels counts them.
  GRU_NATIVE_COUNTING(if (Dot::integer && p.panel_begin == 0 && p.panel_end > 0)
                          count_work(Work::quantize, rows * depth));
  if constexpr (Dot::integer) {
    if (p.depth <= Lanes<float>::size) quantize_rows<Dot, true>(p, k, depth);
    else quantize_rows<Dot, false>(p, k, depth);
  } else {
    auto* const to = S::activations(p.scratch);
    for (Index row = 0; row < rows; ++row) {
      const float* const a = row_at(p.a, p.row_begin + row) + k;
      auto* const converted = to + row * stride;
      if constexpr (sizeof(*to) < sizeof(float)) {
        convert_row<Dot, false>(a, depth, converted);
      } else {
        for (Index i = 0; i < depth; ++i) converted[i] = a[i];
        for (Index i = depth; i < stride; ++i) converted[i] = 0;
      }
    }
  }
}

// How the sums of columns from `column` on begin, and what becomes of them; c counts from there. Of depths that are no
// more than one stretch of k, or of one of these.
template <class Dot>
struct FewBitSums {
  const std::int32_t* const offsets;
  const float* const scales;
  EIGEN_ALWAYS_INLINE FewBitSums(const QuantizedWeights& w, Index column, Index stretch = 0)
      : offsets(w.offset + (Dot::integer ? stretch * w.columns + column : 0)),
        scales(w.scale + (Dot::integer ? column : 0)) {}
  EIGEN_ALWAYS_INLINE typename Dot::Sum begin(Lanes<float> start, Index c) const {
    if constexpr (Dot::integer) return Ints::load(offsets + c);
    else return start;
  }
  EIGEN_ALWAYS_INLINE Lanes<float> end(typename Dot::Sum sum, Lanes<float> start, Lanes<float> scale, Index c) const {
    if constexpr (Dot::integer) return start + to_float(sum) * (scale * Lanes<float>::load(scales + c));
    else return sum;
  }
};

// What a tile takes (kernels/product.h). The rows of the product are those in the scratch.
template <class Dot>
struct Source {
  using S = Scratch<Dot>;
  using Scale = Lanes<float>;
  const Product<float>& p;
  const Index stride, panel_stride, column;
  const std::int32_t* const weights;
  const FewBitSums<Dot> sums;

  EIGEN_ALWAYS_INLINE Source(const Product<float>& p, Index panel, Index k, Index depth)
      : p(p),
        stride(S::stride(depth)),
        panel_stride(S::groups(p.depth) * p.width * Lanes<float>::size),
        column(panel * p.width * Lanes<float>::size),
        weights(static_cast<const std::int32_t*>(p.quantized->panels) + panel * panel_stride +
                k / Dot::group * p.width * Lanes<float>::size),
        sums(*p.quantized, column, k / S::deepest) {}
  EIGEN_ALWAYS_INLINE const typename Dot::Activation* row(Index i) const {
    return S::activations(p.scratch) + (i - p.row_begin) * stride;
  }
  EIGEN_ALWAYS_INLINE Scale scale(Index i) const {
    if constexpr (Dot::integer) return Scale(S::scales(p.scratch)[i - p.row_begin]);
    else return Scale();
  }
  EIGEN_ALWAYS_INLINE typename Dot::Sum begin(const float* start, Index c) const {
    return sums.begin(Lanes<float>::load(start), c);
  }
  EIGEN_ALWAYS_INLINE Lanes<float> end(typename Dot::Sum sum, const float* start, Scale scale, Index c) const {
    return sums.end(sum, Lanes<float>::load(start), scale, c);
  }
};

// Pairs of a panel as floats, for `depth` k.
template <int width>
EIGEN_ALWAYS_INLINE void widen_panel(const std::int32_t* pairs, Index depth, float* to) {
  constexpr Index lanes = Lanes<float>::size, columns = width * lanes;
  for (Index k = 0; k < depth; k += Bf16::group, pairs += columns)
    for (int v = 0; v < width; ++v) {
      const Ints both = Bf16::load(pairs + v * lanes);
      Bf16::even(both).store(to + k * columns + v * lanes);
      if (k + 1 < depth) Bf16::odd(both).store(to + (k + 1) * columns + v * lanes);
    }
}

// Some panels of the product, at their places in `to`.
template <class Dot>
void quantized_widen(const Product<float>& p, float* to) {
  const auto each = [&](auto width) {
    for (Index panel = p.panel_begin; panel < p.panel_end; ++panel)
      widen_panel<width.value>(Source<Dot>(p, panel, 0, p.depth).weights, p.depth, to + panel * p.panel_stride);
  };
  if (p.width == 3) each(Height<3>{});
  else each(Height<4>{});
}

// As quantized_rows, for bf16 and rows enough (expanded_from), which are read where they are.
template <int width>
EIGEN_DONT_INLINE void expanded_rows(const Product<float>& p) {
  constexpr Index lanes = Lanes<float>::size, columns = width * lanes;
  constexpr Index chunk = depth_chunk_bytes / 2 / (columns * Index(sizeof(float))) / Bf16::group * Bf16::group;
  alignas(64) float wide[chunk * columns];
  Product<float> q = p;
  q.panels = wide;
  q.panel_stride = q.k_stride = 0;  // of all panels and k there is only what was made last
  each_panel(p, [&](Index panel) {
    for (Index k = 0; k < p.depth; k += chunk) {
      const Index depth = min(p.depth - k, chunk);
      widen_panel<width>(Source<Bf16>(p, panel, k, depth).weights, depth, wide);
      rows_of_panel<Full<float>, width, PackedStrides<Full<float>, width>>(q, panel, p.row_begin, p.row_end, k, depth);
    }
  });
}

// Whether it is done so. All k are then one stretch, and nothing is converted.
template <class Dot>
EIGEN_ALWAYS_INLINE bool expands(const Product<float>& p) {
  return expanded_from<Dot> > 0 && p.row_end - p.row_begin >= expanded_from<Dot>;
}

// The rows of p, which are those in the scratch, for k in [k, k + depth).
template <class Dot, int width>
EIGEN_ALWAYS_INLINE void quantized_rows(const Product<float>& p, Index k, Index depth) {
  using Strides = PackedStrides<Dot, width>;
  if (p.row_end - p.row_begin == 1) return single_row<Dot, width, Strides>(p, p.row_begin, k, depth);
  if constexpr (expanded_from<Dot> > 0)
    if (expands<Dot>(p)) return expanded_rows<width>(p);
  each_panel(p, [&](Index panel) { rows_of_panel<Dot, width, Strides>(p, panel, p.row_begin, p.row_end, k, depth); });
}

// What a step does for a block of rows: convert them once, then multiply them by some panels at a time.
template <class Dot>
void quantized_convert(const Product<float>& p) {
  if (!expands<Dot>(p)) convert_rows<Dot>(p, 0, p.depth);
}
template <class Dot>
void quantized_multiply(const Product<float>& p) {
  if (p.width == 3) quantized_rows<Dot, 3>(p, 0, p.depth);
  else quantized_rows<Dot, 4>(p, 0, p.depth);
}
template <class Dot>
Index quantized_rows_at_once(Index depth) {
  const Index fit = Scratch<Dot>::rows(depth);
  return expanded_from<Dot> > 0 && fit + 1 >= expanded_from<Dot> ? row_block : fit;
}

// The whole product, of any depth, in blocks of rows.
template <class Dot>
EIGEN_DONT_INLINE void blocks_of_rows(const Product<float>& given) {
  using S = Scratch<Dot>;
  alignas(64) char scratch[quantized_scratch];
  Product<float> p = given;
  if (!p.scratch) p.scratch = scratch;
  const bool whole = expands<Dot>(given);
  const Index stretch = whole ? p.depth : S::deepest;
  const Index at_once = whole ? row_block : p.depth > S::deepest ? 1 : S::rows(p.depth);
  Index blocks = (given.row_end - given.row_begin + at_once - 1) / at_once;  // of nearly equal size
  for (p.row_begin = given.row_begin; p.row_begin < given.row_end; p.row_begin = p.row_end, --blocks) {
    p.row_end = p.row_begin + (given.row_end - p.row_begin + blocks - 1) / blocks;
    for (Index k = 0; k < p.depth; k += stretch) {
      const Index depth = min(p.depth - k, stretch);
      if (!whole) convert_rows<Dot>(p, k, depth);
      if (p.width == 3) quantized_rows<Dot, 3>(p, k, depth);
      else quantized_rows<Dot, 4>(p, k, depth);
    }
  }
}

// The same. One row may be that of a step of a small layer, which would have no use for blocks.
template <class Dot>
void quantized_product(const Product<float>& p) {
  if (!p.scratch || p.row_end - p.row_begin != 1 || p.depth > Scratch<Dot>::deepest) return blocks_of_rows<Dot>(p);
  quantized_convert<Dot>(p);
  quantized_multiply<Dot>(p);
}

template <class Dot>
constexpr auto widen_of() {
  if constexpr (expanded_from<Dot> > 0) return &quantized_widen<Dot>;
  else return nullptr;
}

template <class Dot>
constexpr QuantizedKernels quantized_kernels() {
  return {Dot::group,
          Scratch<Dot>::deepest,
          Dot::zero_point,
          &quantized_rows_at_once<Dot>,
          &quantized_convert<Dot>,
          &quantized_multiply<Dot>,
          &quantized_product<Dot>,
          expanded_from<Dot>,
          widen_of<Dot>(),
          Dot::float_depth,
          {}};
}

}  // namespace gru_native::GRU_NATIVE_ISA
