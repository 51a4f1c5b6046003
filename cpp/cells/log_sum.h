// Sums of probabilities that are known by their logarithms: log(e^a + e^b + ..), where -infinity is the logarithm of 0.
#pragma once
#include <limits>

#include "simd/cell_lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

// What the largest term is taken as where all are -infinity: differences from it then are, too, and no NaN.
template <class T>
EIGEN_ALWAYS_INLINE CellLanes<T> finite_top(CellLanes<T> top) {
  return larger(top, CellLanes<T>(std::numeric_limits<T>::lowest()));
}

// = top + log(1 + e^(other - top)).
template <class T>
EIGEN_ALWAYS_INLINE CellLanes<T> log_sum(CellLanes<T> a, CellLanes<T> b) {
  const CellLanes<T> top = larger(a, b), level = finite_top(top);
  return top + log(CellLanes<T>(T(1)) + exp(smaller(a, b) - level));
}
template <class T>
EIGEN_ALWAYS_INLINE CellLanes<T> log_sum(CellLanes<T> a, CellLanes<T> b, CellLanes<T> c) {
  const CellLanes<T> ab = larger(a, b), top = larger(ab, c), level = finite_top(top);
  return top + log(CellLanes<T>(T(1)) + exp(smaller(a, b) - level) + exp(smaller(ab, c) - level));
}

}  // namespace gru_native::GRU_NATIVE_ISA
