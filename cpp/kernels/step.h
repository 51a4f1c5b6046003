// Drives a cell over a batch: product into the gates of a few blocks, then the cell on them while they are in L1.
#pragma once
#include <type_traits>

#include "cells/unit.h"
#include "kernels/product.h"

namespace gru_native::GRU_NATIVE_ISA {

// A step has one part, or two with a product between them (GRU with the reset gate before the product).
struct FirstPart {
  template <class Cell>
  static constexpr bool last = Cell::candidate.count == 0;
  template <class Cell, class U, class O>
  static EIGEN_ALWAYS_INLINE void forward(U& s, const O& o) {
    Cell::forward(s, o);
  }
  template <class Cell, class U, class D, class O>
  static EIGEN_ALWAYS_INLINE void backward(const U& s, D& d, const O& o) {
    Cell::backward(s, d, o);
  }
};
struct CandidatePart {
  template <class Cell>
  static constexpr bool last = true;
  template <class Cell, class U, class O>
  static EIGEN_ALWAYS_INLINE void forward(U& s, const O& o) {
    Cell::candidate_forward(s, o);
  }
  template <class Cell, class U, class D, class O>
  static EIGEN_ALWAYS_INLINE void backward(const U& s, D& d, const O& o) {
    Cell::candidate_backward(s, d, o);
  }
};

template <class T, int n>
EIGEN_ALWAYS_INLINE void load_all(CellLanes<T> (&a)[n], const T* from) {
#pragma GCC unroll 8
  for (int s = 0; s < n; ++s) a[s] = CellLanes<T>::load(from + s * CellLanes<T>::size);
}
template <class T, int n>
EIGEN_ALWAYS_INLINE void store_all(const CellLanes<T> (&a)[n], T* to) {
#pragma GCC unroll 8
  for (int s = 0; s < n; ++s) a[s].store(to + s * CellLanes<T>::size);
}

template <class T>
EIGEN_ALWAYS_INLINE T* at(const Matrix<T>& m, Index row, Index column) {
  return m.base + row * m.stride + column;
}
template <class T>
EIGEN_ALWAYS_INLINE T* at(const Rows<T>& rows, Index row, Index column) {
  return row_at(rows, row) + column;
}

template <class Cell, class Part, bool save, class T>
EIGEN_ALWAYS_INLINE void forward_blocks(const Step<T>& s, Index row, Index block_begin, Index block_end) {
  using V = CellLanes<T>;
  using Options = typename Cell::template OptionsOf<V>;
  constexpr bool last = Part::template last<Cell>;
  T* const y = last && s.y.base ? row_at(s.y, row) : nullptr;
  const T* const h_prev = row_at(s.h_prev, row);
  T *const h = row_at(s.h, row), *const c = Cell::has_c ? row_at(s.c, row) : nullptr;
  for (Index block = block_begin; block < block_end; ++block) {
    const Index lane = block * V::size;
    GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.hidden - lane));
    T* const a = at(s.gates, row, lane * Cell::slots);
    Unit<V, Cell::slots> unit;
    load_all<T>(unit.a, a);
    if constexpr (Cell::uses_h_prev || save) unit.h_prev = V::load(h_prev + lane);
    if constexpr (Cell::has_c) unit.c_prev = V::load(c + lane);
    Part::template forward<Cell>(unit, Options::load(s.options, block));
    // What comes later goes on from these gates.
    if constexpr (save || !last || Cell::separate_output) store_all<T>(unit.a, a);
    if constexpr (save && last) {
      unit.h_prev.store(at(s.h_prev_saved, row, lane));
      if constexpr (Cell::has_c) unit.c_prev.store(at(s.c_prev_saved, row, lane));
    }
    if constexpr (Cell::has_c) unit.c.store(c + lane);
    for (int gate = 0; gate < Cell::recurrent_gates; ++gate) {
      const Index column = gate * s.hidden + lane, units = s.hidden - lane;
      unit.a[gate].store_first(at(s.gates_next, row, column), units);
      if constexpr (save)
        V::load_first(at(s.gates_prev, row, column), units).store_first(at(s.gates_prev_saved, row, column), units);
    }
    if constexpr (last && Cell::separate_output) continue;
    if constexpr (last) {
      unit.h.store(h + lane);
      if (y) unit.h.store_first(y + lane, s.hidden - lane);
    } else {
      unit.u.store(at(s.u, row, lane));
    }
  }
}

// The product of a step, for some of its panels at a time. Quantized weights: the activations of a block of rows are
// converted once for all panels, unless there is but one product to come: `single`.
template <class T>
class StepProduct {
 public:
  EIGEN_ALWAYS_INLINE StepProduct(const Product<T>& p, bool single) {
    if constexpr (sizeof(T) == sizeof(float)) {
      if (!p.quantized || !p.scratch || p.depth == 0 || single) return;
      const Index at_once = p.quantized->kernels->rows_at_once(p.depth);
      if (at_once > 0) converted_ = p.quantized->kernels, rows_at_once_ = min(at_once, row_block);
    }
  }
  EIGEN_ALWAYS_INLINE Index rows_at_once() const { return rows_at_once_; }
  EIGEN_ALWAYS_INLINE void begin(const Product<T>& p) const {
    if constexpr (sizeof(T) == sizeof(float))
      if (converted_) converted_->convert(p);
  }
  EIGEN_ALWAYS_INLINE void operator()(const Product<T>& p) const {
    if constexpr (sizeof(T) == sizeof(float))
      if (converted_) return converted_->multiply(p);
    product(p);
  }

 private:
  const QuantizedKernels* converted_ = nullptr;
  Index rows_at_once_ = row_block;
};

template <class Cell, class Part, bool save, class T>
void step_over_blocks(const Step<T>& s) {
  Product<T> p = s.product, of_gates;
  if constexpr (Cell::recurrent_gates > 0) of_gates = s.gates_product;
  const Index panels = s.product.panel_end - s.product.panel_begin;
  const Index groups = s.rows == 1 ? (panels + single_row_panels - 1) / single_row_panels : panels;
  const StepProduct<T> multiply(p, s.rows == 1 && groups == 1);
  const Index blocks = s.rows == 1 ? 1 : (s.rows + multiply.rows_at_once() - 1) / multiply.rows_at_once();
  for (Index b = 0; b < blocks; ++b) {
    const Cut rows = cut_of(s.rows, blocks, b);
    p.row_begin = rows.begin;
    p.row_end = rows.end;
    p.panel_begin = s.product.panel_begin;
    p.panel_end = s.product.panel_end;
    multiply.begin(p);
    for (Index i = 0; i < groups; ++i) {
      const Cut cut = cut_of(panels, groups, s.product.last_panel_first ? groups - 1 - i : i);
      const Index panel = p.panel_begin = s.product.panel_begin + cut.begin;
      p.panel_end = s.product.panel_begin + cut.end;
      multiply(p);
      if constexpr (Cell::recurrent_gates > 0) {
        of_gates.panel_begin = p.panel_begin, of_gates.panel_end = p.panel_end;
        of_gates.row_begin = p.row_begin, of_gates.row_end = p.row_end;
        product(of_gates);
      }
      const Index block_end = min(p.panel_end * s.blocks_in_panel, s.block_end);
      for (Index row = p.row_begin; row < p.row_end; ++row)
        forward_blocks<Cell, Part, save>(s, row, panel * s.blocks_in_panel, block_end);
    }
  }
}

template <class Cell, class Part, class T>
void step_forward(const Step<T>& s) {
  s.save ? step_over_blocks<Cell, Part, true>(s) : step_over_blocks<Cell, Part, false>(s);
}

template <class Cell, class Part, class T>
void step_backward(const BackStep<T>& s) {
  using V = CellLanes<T>;
  constexpr bool first = std::is_same_v<Part, FirstPart>;
  for (Index row = 0; row < s.rows; ++row) {
    const T* const dy = first && s.dy.base ? row_at(s.dy, row) : nullptr;
    for (Index block = s.block_begin; block < s.block_end; ++block) {
      const Index lane = block * V::size;
      const Index units = s.hidden - lane;
      GRU_NATIVE_COUNTING(units_at_hand = min(V::size, units));
      Unit<V, Cell::slots> unit;
      UnitGradient<V, Cell::slots> d;
      load_all<T>(unit.a, at(s.gates, row, lane * Cell::slots));
      if constexpr (Cell::uses_h_prev) unit.h_prev = V::load(at(s.h_prev, row, lane));
      if constexpr (Cell::has_c) {
        unit.c_prev = V::load(at(s.c_prev, row, lane));
        d.dc = V::load(at(s.dc, row, lane));
      }
      d.dh = V::load(at(s.dh, row, lane));
      if (dy) d.dh = V::load_first(dy + lane, units) + d.dh;
      if constexpr (!first || Cell::separate_output) d.q = V::load(at(s.q, row, lane));
      for (int gate = 0; gate < Cell::recurrent_gates; ++gate)
        d.gates[gate] = V::load_first(at(s.dgates_next, row, gate * s.hidden + lane), units);
      const auto options = Cell::template OptionsOf<V>::load(s.options, block);
      Part::template backward<Cell>(unit, d, options);
      if (options.peephole)
        for (int gate = 0; gate < 3; ++gate) {
          T* const sum = s.dpeephole + (block * 3 + gate) * V::size;
          (V::load(sum) + d.peephole[gate]).store(sum);
        }
      // Padding units may hold NaN (0 * inf); the products that follow sum over them, so they must be 0 there.
      const auto put = [units](V value, T* to) { (units < V::size ? value.first(units) : value).store(to); };
      put(d.dh_prev, at(s.dh, row, lane));
      if constexpr (Cell::has_c) put(d.dc, at(s.dc, row, lane));
      if constexpr (!Part::template last<Cell>) {
        put(d.candidate, at(s.dgates_u, row, lane));
      } else {
        T* const x = at(s.dgates_x, row, lane * Cell::input.count);
#pragma GCC unroll 8
        for (int k = 0; k < Cell::input.count; ++k) put(d.x[k], x + k * V::size);
        for (int k = 0; k < Cell::recurrent_gates; ++k)
          put(d.x[k], at(s.dgates_r, row, (lane * Cell::recurrent_gates) + k * V::size));
        if constexpr (Cell::split_gradients) {
          T* const h = at(s.dgates_h, row, lane * Cell::recurrent.count);
#pragma GCC unroll 8
          for (int k = 0; k < Cell::recurrent.count; ++k) put(d.h[k], h + k * V::size);
        }
      }
    }
  }
}

}  // namespace gru_native::GRU_NATIVE_ISA
