// What GatedRecursiveConv and its tape keep behind their public faces.
#pragma once
#include "engine/grconv/levels.h"
#include "engine/matrix/lazily.h"
#include "engine/matrix/panels.h"
#include "engine/matrix/weights.h"
#include "gru_native/grconv.h"

namespace gru_native {

template <class T>
struct GrConvPanels {
  PackedMatrix<T> input;
  PackedMatrix<T> pair;  // k: left units, from right_at on right units; columns: units, then gates
};

template <class T>
struct PackedGrConv : GrConvPanels<T> {
  Buffer<T> start;  // biases of the same columns
  Index hidden, units, right_at;  // units: hidden, in whole vectors; right_at: also the stride of rows

  const GrConvPanels<T>& transposed() const;  // inference never needs it

 private:
  Lazily<GrConvPanels<T>> transposed_;
};

template <class T>
struct GatedRecursiveConv<T>::Impl {
  explicit Impl(const GrConvSpec& spec);

  GrConvSpec spec;
  WeightStore<T, PackedGrConv<T>> store;
  int ih, left, right, bias, gate_left, gate_right, gate_bias;

  std::shared_ptr<PackedGrConv<T>> reserve() const;
  void fill(PackedGrConv<T>& packed) const;
  const GrConvKernels<T>& kernels() const;
  int threads(const GrConvLevels& levels) const;
  void forward(const GrConvForwardCall<T>& call, const GrConvLevels& levels, const PackedGrConv<T>& packed,
               ImplOf<GrConvTape<T>>* tape) const;
};

template <class T>
struct GrConvTape<T>::Impl : TapeOf<PackedGrConv<T>> {
  Impl(TapeOf<PackedGrConv<T>> base, GrConvLevels levels)
      : TapeOf<PackedGrConv<T>>(std::move(base)), levels(std::move(levels)) {}

  GrConvLevels levels;
  Matrix<T> x{};  // [row of level 0][input]
  Matrix<T> h{}, a{};  // rows of all levels; a of a pair lies in the row of its left neighbour
};

}  // namespace gru_native
