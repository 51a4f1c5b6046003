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
  static constexpr bool stays_in_registers = false;
  RowProduct(const T* panels, const QuantizedWeights*, Index depth) : panels_(panels), depth_(depth) {}
  EIGEN_ALWAYS_INLINE void take(const T* row) { row_ = row; }
  template <int P>
  EIGEN_ALWAYS_INLINE void take(const T* row, const Lanes<T> (&)[P]) {
    row_ = row;
  }
  // To the sums of blocks [block, block + P), from slot `first` of each on.
  template <int P, int width, bool, int slots>
  EIGEN_ALWAYS_INLINE void add_to(Lanes<T> (&a)[P][slots], int first, Index block) const {
    const Index panel_stride = depth_ * width * Lanes<T>::size;
    Lanes<T> sum[1][P * width];
#pragma GCC unroll 16
    for (int i = 0; i < P * width; ++i) sum[0][i] = a[i / width][first + i % width];
    tile<Full<T>, 1, P, width>(sum, {row_}, panels_ + block * panel_stride, panel_stride,
                               PackedStrides<Full<T>, width>(), depth_);
#pragma GCC unroll 16
    for (int i = 0; i < P * width; ++i) a[i / width][first + i % width] = sum[0][i];
  }

 private:
  const T* panels_;
  Index depth_;
  const T* row_;
};

// Of few bits, unless `weights` is null. Each row is made narrow when it is taken; one that still is in registers
// there.
template <class Dot>
class RowProduct {
 public:
  static constexpr bool stays_in_registers = Dot::integer && groups_in_registers;
  RowProduct(const float* panels, const QuantizedWeights* weights, Index depth)
      : floats_(panels, nullptr, depth), weights_(weights), depth_(depth) {
    if constexpr (Dot::integer) wanted_ = sizes_below(depth - (depth - 1) / lanes * lanes);
  }
  EIGEN_ALWAYS_INLINE void take(const float* row) {
    if (is_float()) return floats_.take(row);
    if (depth_ <= lanes) scale_ = convert_row<Dot, true>(row, depth_, row_);
    else scale_ = convert_row<Dot, false>(row, depth_, row_);
  }
  // `in_registers`: all of the row, and whatever else there is in its last vector.
  template <int P>
  EIGEN_ALWAYS_INLINE void take(const float* row, const Lanes<float> (&in_registers)[P]) {
    if constexpr (stays_in_registers) {
      Ints largest = sizes(in_registers[P - 1], wanted_);
#pragma GCC unroll 8
      for (int p = 0; p < P - 1; ++p) largest = larger(largest, sizes(in_registers[p]));
      const bool half = P == 1 && depth_ <= lanes / 2;
      const RowScale s = scale_of(half ? largest_of_lanes<true>(largest) : largest_of_lanes(largest));
      scale_ = s.scale;
      const Lanes<float> by(s.inverse);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) groups_[p] = whole_groups(in_registers[p] * by, Dot::zero_point);
    } else {
      take(row);
    }
  }
  // in_registers: the row that was taken last is there.
  template <int P, int width, bool in_registers, int slots>
  EIGEN_ALWAYS_INLINE void add_to(Lanes<float> (&a)[P][slots], int first, Index block) const {
    if (is_float()) return floats_.template add_to<P, width, false>(a, first, block);
    const Index groups = (depth_ + Dot::group - 1) / Dot::group, panel_stride = groups * width * lanes;
    const FewBitSums<Dot> sums(*weights_, block * width * lanes);
    typename Dot::Sum sum[1][P * width];
#pragma GCC unroll 16
    for (int i = 0; i < P * width; ++i) sum[0][i] = sums.begin(a[i / width][first + i % width], i * lanes);
    const auto* const panels = static_cast<const std::int32_t*>(weights_->panels) + block * panel_stride;
    if constexpr (in_registers) add_groups<P, width>(sum[0], panels, panel_stride, groups);
    else tile<Dot, 1, P, width>(sum, {row_}, panels, panel_stride, PackedStrides<Dot, width>(), groups);
    const Lanes<float> scale(scale_);
#pragma GCC unroll 16
    for (int i = 0; i < P * width; ++i) {
      Lanes<float>& to = a[i / width][first + i % width];
      to = sums.end(sum[0][i], to, scale, i * lanes);
    }
  }

 private:
  static constexpr Index lanes = Lanes<float>::size;
  // What a tile does. Whole numbers may be added in any order: one panel's sums are too few to hide how long each
  // takes.
  template <int P, int width>
  EIGEN_ALWAYS_INLINE void add_groups(typename Dot::Sum (&sum)[P * width], const std::int32_t* panels,
                                      Index panel_stride, Index groups) const {
    constexpr int of_vector = static_cast<int>(lanes / Dot::group);
    typename Dot::Sum odd[P * width] = {};
#pragma GCC unroll 16
    for (int g = 0; g < P * of_vector; ++g) {
      if (g >= groups) break;
      const typename Dot::Operand x = Dot::operand(everywhere(groups_[g / of_vector], g % of_vector));
#pragma GCC unroll 16
      for (int i = 0; i < P * width; ++i) {
        typename Dot::Sum& to = P == 1 && g % 2 ? odd[i] : sum[i];
        to = Dot::add(to, x, Dot::load(panels + i / width * panel_stride + (g * width + i % width) * lanes));
      }
    }
#pragma GCC unroll 16
    for (int i = 0; P == 1 && i < width; ++i) sum[i] = sum[i] + odd[i];
  }

  // All of int8 is, even the smallest matrix.
  EIGEN_ALWAYS_INLINE bool is_float() const { return Dot::float_depth > 0 && !weights_; }

  RowProduct<Full<float>> floats_;
  const QuantizedWeights* weights_;
  Index depth_;
  Ints wanted_;  // lanes of the last vector
  float scale_ = 0;
  Ints groups_[single_row_panels];
  alignas(64) typename Dot::Activation row_[most_row_steps_depth + lanes];
};

// Blocks [block, block + P) of one step; at_once: these are all. next: their h once more, then.
template <class Cell, int P, bool at_once, class T, class Input, class Recurrent>
EIGEN_ALWAYS_INLINE void row_blocks(const RowSteps<T>& r, Index block, const Input& input, const Recurrent& recurrent,
                                    bool zero_state, const T* h_prev, T* h, T* y, Lanes<T>* next) {
  using V = Lanes<T>;
  constexpr int width = Cell::input.count, slots = Cell::slots;
  static_assert(Cell::recurrent.count == width && (width == 3 || width == 4), "one block is one panel");
  const T* const bias = r.bias + block * slots * V::size;
  V a[P][slots];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
    for (int s = 0; s < slots; ++s) a[p][s] = V::load(bias + (p * slots + s) * V::size);

  input.template add_to<P, width, false>(a, Cell::input.first, block);
  if (!zero_state)
    recurrent.template add_to<P, width, at_once && Recurrent::stays_in_registers>(a, Cell::recurrent.first, block);

#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    const Index lane = (block + p) * V::size;
    Unit<V, slots> unit;
#pragma GCC unroll 8
    for (int s = 0; s < slots; ++s) unit.a[s] = a[p][s];
    if constexpr (Cell::uses_h_prev) unit.h_prev = V::load(h_prev + lane);
    if constexpr (Cell::has_c) unit.c_prev = V::load(r.c + lane);
    Cell::forward(unit, typename Cell::template OptionsOf<V>{});
    if constexpr (Cell::has_c) unit.c.store(r.c + lane);
    unit.h.store(h + lane);
    if constexpr (at_once) next[p] = unit.h;
    if (y) unit.h.store_first(y + lane, r.hidden - lane);
  }
}

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

// Of so few blocks that all are at work at once, or of any number.
template <class Cell, class Form, int P, class T>
void row_steps_at_once(const RowSteps<T>& r) {
  RowProduct<Form> input(r.input, r.few_bits_of_input, r.inputs);
  RowProduct<Form> recurrent(r.recurrent, r.few_bits_of_recurrent, r.hidden);
  Lanes<T> now[P];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) now[p] = Lanes<T>::load(r.h[r.turn] + p * Lanes<T>::size);
  each_row_step(r, [&](const T* x, const T* h_prev, bool zero_state, T* h, T* y, int) {
    input.take(x);
    recurrent.take(h_prev, now);
    row_blocks<Cell, P, true>(r, 0, input, recurrent, zero_state, h_prev, h, y, now);
  });
}
template <class Cell, class Form, class T>
void row_steps(const RowSteps<T>& r) {
  static_assert(single_row_panels == 3);
  if (r.blocks == 1) return row_steps_at_once<Cell, Form, 1>(r);
  if (r.blocks == 2) return row_steps_at_once<Cell, Form, 2>(r);
  if (r.blocks == 3) return row_steps_at_once<Cell, Form, 3>(r);
  RowProduct<Form> input(r.input, r.few_bits_of_input, r.inputs);
  RowProduct<Form> recurrent(r.recurrent, r.few_bits_of_recurrent, r.hidden);
  const Index groups = (r.blocks + single_row_panels - 1) / single_row_panels;
  Lanes<T>* const no_lanes = nullptr;
  each_row_step(r, [&](const T* x, const T* h_prev, bool zero_state, T* h, T* y, int turn) {
    input.take(x);
    recurrent.take(h_prev);
    for (Index i = 0; i < groups; ++i) {
      const Cut cut = cut_of(r.blocks, groups, turn ? groups - 1 - i : i);
      if (cut.end - cut.begin == 2)
        row_blocks<Cell, 2, false>(r, cut.begin, input, recurrent, zero_state, h_prev, h, y, no_lanes);
      else row_blocks<Cell, 3, false>(r, cut.begin, input, recurrent, zero_state, h_prev, h, y, no_lanes);
    }
  });
}

}  // namespace gru_native::GRU_NATIVE_ISA
