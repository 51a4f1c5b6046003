// Functions of n numbers a, of which `top` is the largest, so that no exponential overflows:
//   softmax      y = e / sum of e, e = exp(a - top)        da = y (dy - sum of y dy)
//   log_softmax  y = (a - top) - log(sum of e)             da = dy - exp(y) (sum of dy)
// Each function here sees one of the numbers; whoever drives it makes the sums.
#pragma once
#include "simd/cell_lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

struct Softmax {
  template <class V>
  static EIGEN_ALWAYS_INLINE V exponential(V a, V top) {
    return exp(a - top);
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE V forward(V e, V sum) {
    return e / sum;
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE V backward(V y, V dy, V sum_of_y_dy) {
    return y * (dy - sum_of_y_dy);
  }
};

struct LogSoftmax {
  template <class V>
  static EIGEN_ALWAYS_INLINE V below_top(V a, V top) {
    return a - top;
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE V forward(V below_top, V log_sum) {
    return below_top - log_sum;
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE V backward(V y, V dy, V sum_of_dy) {
    return dy - exp(y) * sum_of_dy;
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
