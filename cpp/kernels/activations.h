// Logistic and tanh from Eigen's exp, right to a few ulp over all floats (swept in tests/activations.cpp).
// Eigen's own two are fast rational fits, but lose all relative precision in the logistic's left tail.
#pragma once
#include "kernels/lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

// 1 / (1 + exp(-x)). Eigen's exp clamps its argument before it overflows, so +-inf saturate.
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> sigmoid(Lanes<T> x) {
  using V = Lanes<T>;
  const V e = packet::pexp((V(T(0)) - x).p);
  return keep_nan(x, V(T(1)) / (V(T(1)) + e));
}

// x + x^3 P(x^2) for |x| < 0.625, after Cephes (S. L. Moshier, tanhf.c and tanh.c), where 1 - 2/(e^2x + 1) would cancel.
EIGEN_ALWAYS_INLINE Lanes<float> tanh_near_zero(Lanes<float> x, Lanes<float> z) {
  using V = Lanes<float>;
  V p = multiply_add(z, V(-5.70498872745e-3f), V(2.06390887954e-2f));
  p = multiply_add(z, p, V(-5.37397155531e-2f));
  p = multiply_add(z, p, V(1.33314422036e-1f));
  p = multiply_add(z, p, V(-3.33332819422e-1f));
  return multiply_add(p * z, x, x);
}

EIGEN_ALWAYS_INLINE Lanes<double> tanh_near_zero(Lanes<double> x, Lanes<double> z) {
  using V = Lanes<double>;
  V p = multiply_add(z, V(-9.64399179425052238628e-1), V(-9.92877231001918586564e1));
  p = multiply_add(z, p, V(-1.61468768441708447952e3));
  V q = z + V(1.12811678491632931402e2);
  q = multiply_add(z, q, V(2.23548839060100448583e3));
  q = multiply_add(z, q, V(4.84406305325125486048e3));
  return multiply_add(p * z / q, x, x);
}

// Far from zero: tanh |x| = 1 - 2 / (exp(2|x|) + 1), with the sign of x.
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> tanh(Lanes<T> x) {
  using V = Lanes<T>;
  const V magnitude = packet::pabs(x.p);
  const V e = packet::pexp((magnitude + magnitude).p);
  const V far = V(T(1)) - V(T(2)) / (e + V(T(1)));
  const V sign = packet::pand(x.p, V(T(-0.0)).p);
  const V near = tanh_near_zero(x, x * x);
  return keep_nan(x, where_less(magnitude, V(T(0.625)), near, V(packet::por(far.p, sign.p))));
}

// max(x, 0); NaN stays NaN.
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> relu(Lanes<T> x) {
  return where_less(x, Lanes<T>(T(0)), Lanes<T>(T(0)), x);
}

template <class T>
void sigmoid_array(const T* x, T* y, Index n) {
  for (Index i = 0; i < n; i += Lanes<T>::size) sigmoid(Lanes<T>::load(x + i)).store(y + i);
}
template <class T>
void tanh_array(const T* x, T* y, Index n) {
  for (Index i = 0; i < n; i += Lanes<T>::size) tanh(Lanes<T>::load(x + i)).store(y + i);
}

}  // namespace gru_native::GRU_NATIVE_ISA
