// Steps of one row by itself (kernels/table.h, RowSteps): sums stay in registers until they are the cell's activations.
// What a weight is, is the business of its Form, as in a tile.
#pragma once
#include "cells/unit.h"
#include "kernels/quantized.h"

namespace gru_native::GRU_NATIVE_ISA {

// One product of a step: its panels, and the row that they are multiplied by.
template <class Form>
class RowProduct;

template <class T>
class RowProduct<Full<T>> {
 public:
  RowProduct(const T* panels, const QuantizedWeights*, Index depth, bool two_sums)
      : panels_(panels), depth_(depth), two_sums_(two_sums) {}
  EIGEN_ALWAYS_INLINE void take(const T* row) { row_ = row; }
  // To the sums of blocks [block, block + P), from slot `first` of each on.
  template <int P, int width, class V, int slots>
  EIGEN_ALWAYS_INLINE void add_to(V (&a)[P][slots], int first, Index block) const {
    const Index panel_stride = depth_ * width * Lanes<T>::size;
    const T* const panels = panels_ + block * panel_stride;
    if constexpr (P == 1) {
      if (two_sums_) return add_two_sums<width>(a[0], first, panels);
    }
    if constexpr (V::size < Lanes<T>::size) return add_one_sum<width>(a[0], first, panels);
    else add_tile<width>(a, first, panels, panel_stride);
  }

 private:
  template <int width, int P, int slots>
  EIGEN_ALWAYS_INLINE void add_tile(Lanes<T> (&a)[P][slots], int first, const T* panels, Index panel_stride) const {
    Lanes<T> sum[1][P * width];
#pragma GCC unroll 16
    for (int i = 0; i < P * width; ++i) sum[0][i] = a[i / width][first + i % width];
    const T* const row[1] = {row_};
    if (two_sums_) tile_in_two_sums<P, width>(sum, row, panels, panel_stride, depth_);
    else tile<Full<T>, 1, P, width>(sum, row, panels, panel_stride, PackedStrides<Full<T>, width>(), depth_);
#pragma GCC unroll 16
    for (int i = 0; i < P * width; ++i) a[i / width][first + i % width] = sum[0][i];
  }

  // As tile and tile_in_two_sums, of one panel, whose sums fit the registers side by side.
  template <int width, class V, int slots>
  EIGEN_ALWAYS_INLINE void add_one_sum(V (&a)[slots], int first, const T* panel) const {
    for (Index k = 0; k < depth_; ++k)
#pragma GCC unroll 4
      for (int i = 0; i < width; ++i)
        a[first + i] = multiply_add(V(row_[k]), V::load(panel + (k * width + i) * Lanes<T>::size), a[first + i]);
  }
  template <int width, class V, int slots>
  EIGEN_ALWAYS_INLINE void add_two_sums(V (&a)[slots], int first, const T* panel) const {
    V odd[width];
#pragma GCC unroll 4
    for (int i = 0; i < width; ++i) odd[i] = V(T(0));
#pragma GCC unroll 16
    for (int k = 0; k < most_k_in_two_sums; ++k) {
      if (k >= depth_) break;
      const V x(row_[k]);
#pragma GCC unroll 4
      for (int i = 0; i < width; ++i) {
        V& to = k % 2 ? odd[i] : a[first + i];
        to = multiply_add(x, V::load(panel + (k * width + i) * Lanes<T>::size), to);
      }
    }
    if (depth_ < 2) return;
#pragma GCC unroll 4
    for (int i = 0; i < width; ++i) a[first + i] = a[first + i] + odd[i];
  }

  const T* panels_;
  Index depth_;
  bool two_sums_;
  const T* row_ = nullptr;
};

// Of few bits, unless `weights` is null. Each row is made narrow when it is taken.
template <class Dot>
class RowProduct {
 public:
  RowProduct(const float* panels, const QuantizedWeights* weights, Index depth, bool two_sums)
      : floats_(panels, nullptr, depth, two_sums), weights_(weights), depth_(depth) {}
  EIGEN_ALWAYS_INLINE void take(const float* row) {
    floats_.take(row);
    if (!weights_) return;
    if (depth_ <= lanes) scale_ = convert_row<Dot, true>(row, depth_, row_);
    else scale_ = convert_row<Dot, false>(row, depth_, row_);
  }
  template <int P, int width, int slots>
  EIGEN_ALWAYS_INLINE void add_to(Lanes<float> (&a)[P][slots], int first, Index block) const {
    if (!weights_) return floats_.template add_to<P, width>(a, first, block);
    const Index groups = (depth_ + Dot::group - 1) / Dot::group, panel_stride = groups * width * lanes;
    const FewBitSums<Dot> sums(*weights_, block * width * lanes);
    typename Dot::Sum sum[1][P * width];
#pragma GCC unroll 16
    for (int i = 0; i < P * width; ++i) sum[0][i] = sums.begin(a[i / width][first + i % width], i * lanes);
    const auto* const panels = static_cast<const std::int32_t*>(weights_->panels) + block * panel_stride;
    tile<Dot, 1, P, width>(sum, {row_}, panels, panel_stride, PackedStrides<Dot, width>(), groups);
    const Lanes<float> scale(scale_);
#pragma GCC unroll 16
    for (int i = 0; i < P * width; ++i) {
      Lanes<float>& to = a[i / width][first + i % width];
      to = sums.end(sum[0][i], to, scale, i * lanes);
    }
  }

 private:
  static constexpr Index lanes = Lanes<float>::size;
  RowProduct<Full<float>> floats_;
  const QuantizedWeights* weights_;
  Index depth_;
  float scale_ = 0;
  alignas(64) typename Dot::Activation row_[most_row_steps_depth + lanes];
};

// Blocks [block, block + P) of one step. V: a vector of T, of which only the first lanes may count.
template <class Cell, int P, class V, class T, class Input, class Recurrent>
EIGEN_ALWAYS_INLINE void row_blocks(const RowSteps<T>& r, Index block, const Input& input, const Recurrent& recurrent,
                                    bool zero_state, const T* h_prev, T* h, T* y) {
  constexpr Index lanes = Lanes<T>::size;
  constexpr int width = Cell::input.count, slots = Cell::slots;
  static_assert(Cell::recurrent.count == width && (width == 3 || width == 4), "one block is one panel");
  const T* const bias = r.bias + block * slots * lanes;
  V a[P][slots];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
    for (int s = 0; s < slots; ++s) a[p][s] = V::load(bias + (p * slots + s) * lanes);

  input.template add_to<P, width>(a, Cell::input.first, block);
  if (!zero_state) recurrent.template add_to<P, width>(a, Cell::recurrent.first, block);

#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    const Index lane = (block + p) * lanes;
    Unit<V, slots> unit;
#pragma GCC unroll 8
    for (int s = 0; s < slots; ++s) unit.a[s] = a[p][s];
    if constexpr (Cell::uses_h_prev) unit.h_prev = V::load(h_prev + lane);
    if constexpr (Cell::has_c) unit.c_prev = V::load(r.c + lane);
    Cell::forward(unit, typename Cell::template OptionsOf<V>{});
    if constexpr (Cell::has_c) unit.c.store(r.c + lane);
    unit.h.store(h + lane);
    if (y) unit.h.store_first(y + lane, r.hidden - lane);
  }
}

// What a lambda sees by reference is in memory, unless it is inlined.
#define IN_REGISTERS __attribute__((always_inline))

// f(x, h_prev, zero_state, h, y, turn) for each step.
template <class T, class F>
EIGEN_ALWAYS_INLINE void each_row_step(const RowSteps<T>& r, const F& f) {
  T *from = r.h[r.turn], *to = r.h[1 - r.turn], *y = r.y;
  const T* x = r.x;
  const Index y_step = y ? r.y_step : 0;
  bool zero_state = r.zero_state;
  int turn = r.turn;
  for (Index left = r.steps; left > 0; --left) {
    f(x, from, zero_state, to, y, turn);
    zero_state = false;
    x += r.x_step, y += y_step, turn = 1 - turn;
    T* const was = from;
    from = to, to = was;
  }
}

// Of so few blocks that all are at work at once, or of any number. Up to half a vector of units takes half vectors,
// whose divisions take less time.
template <class Cell, class Form, int P, class V, class T>
EIGEN_DONT_INLINE void row_steps_at_once(const RowSteps<T>& r) {
  constexpr Index most = P * V::size, least = most - V::size + 1;
  const bool two_sums = most <= most_k_in_two_sums || (least <= most_k_in_two_sums && r.hidden <= most_k_in_two_sums);
  RowProduct<Form> input(r.input, r.few_bits_of_input, r.inputs, false);
  RowProduct<Form> recurrent(r.recurrent, r.few_bits_of_recurrent, r.hidden, two_sums);
  const auto step = [&](const T* x, const T* h_prev, bool zero_state, T* h, T* y, int) IN_REGISTERS {
    input.take(x);
    recurrent.take(h_prev);
    row_blocks<Cell, P, V>(r, 0, input, recurrent, zero_state, h_prev, h, y);
  };
  each_row_step(r, step);
}
template <class Cell, class Form, class T>
EIGEN_DONT_INLINE void row_steps_in_groups(const RowSteps<T>& r) {
  RowProduct<Form> input(r.input, r.few_bits_of_input, r.inputs, false);
  RowProduct<Form> recurrent(r.recurrent, r.few_bits_of_recurrent, r.hidden, r.hidden <= most_k_in_two_sums);
  const Index groups = (r.blocks + single_row_panels - 1) / single_row_panels;
  const auto step = [&](const T* x, const T* h_prev, bool zero_state, T* h, T* y, int turn) IN_REGISTERS {
    input.take(x);
    recurrent.take(h_prev);
    for (Index i = 0; i < groups; ++i) {
      const Cut cut = cut_of(r.blocks, groups, turn ? groups - 1 - i : i);
      if (cut.end - cut.begin == 2)
        row_blocks<Cell, 2, Lanes<T>>(r, cut.begin, input, recurrent, zero_state, h_prev, h, y);
      else row_blocks<Cell, 3, Lanes<T>>(r, cut.begin, input, recurrent, zero_state, h_prev, h, y);
    }
  };
  each_row_step(r, step);
}
template <class Cell, class Form, class T>
void row_steps(const RowSteps<T>& r) {
  static_assert(single_row_panels == 3);
  if constexpr (sizeof(typename Lanes<T>::Packet) == 64 && sizeof(T) == sizeof(float))
    if (r.hidden <= HalfLanes<T>::size && !r.few_bits_of_input && !r.few_bits_of_recurrent)
      return row_steps_at_once<Cell, Full<T>, 1, HalfLanes<T>>(r);
  if (r.blocks == 1) return row_steps_at_once<Cell, Form, 1, Lanes<T>>(r);
  if (r.blocks == 2) return row_steps_at_once<Cell, Form, 2, Lanes<T>>(r);
  if (r.blocks == 3) return row_steps_at_once<Cell, Form, 3, Lanes<T>>(r);
  row_steps_in_groups<Cell, Form>(r);
}

#undef IN_REGISTERS

}  // namespace gru_native::GRU_NATIVE_ISA
