// Layer normalisation (Ba, Kiros and Hinton 2016) of a row a of n numbers, without gain and bias:
//   mean = sum of a / n      scale = 1 / sqrt(sum of (a - mean)^2 / n + eps)
//   y = (a - mean) * scale
#pragma once
#include "simd/cell_lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

// All lanes of a member are the same number: it belongs to the row.
template <class V>
struct LayerNorm {
  V mean, scale;
  static EIGEN_ALWAYS_INLINE V scale_of(V variance, V eps) { return V(1) / sqrt(variance + eps); }
  EIGEN_ALWAYS_INLINE V forward(V a) const { return (a - mean) * scale; }
};

template <class V>
struct LayerNormGradient {
  V scale;           // of the row, forward
  V mean, along;     // sum of dy / n, sum of (dy * y) / n
  EIGEN_ALWAYS_INLINE V backward(V y, V dy) const { return scale * (dy - mean - y * along); }
};

}  // namespace gru_native::GRU_NATIVE_ISA
