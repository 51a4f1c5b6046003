// The score of additive attention (Bahdanau, Cho and Bengio 2015): for a query q = W s and the key k = U h_j + b of a
// position,
//   e_j = sum over units of v tanh(q + k)
// Location attention (Chorowski et al. 2015) is the same with V f_j added to the key.
#pragma once
#include "cells/unit.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class V>
struct ScoreGradient {
  V dp;  // of q and of k
  V dv;
};

struct AdditiveScore {
  // The term of one unit.
  template <class V>
  static EIGEN_ALWAYS_INLINE V forward(V q, V k, V v) {
    return v * tanh(q + k);
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE ScoreGradient<V> backward(V q, V k, V v, V de) {
    const V u = tanh(q + k);
    return {de * v * tanh_slope(u), de * u};
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
