// Logistic and tanh from exp, right to a few ulp over all floats (swept in tests/activations.cpp).
// Eigen's own two are fast rational fits, but lose all relative precision in the logistic's left tail.
#pragma once
#include "kernels/lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

// exp for arguments that are clamped to where the result is a normal number; not NaN-safe.
EIGEN_ALWAYS_INLINE Lanes<double> exp_clamped(Lanes<double> x) { return packet::pexp(x.p); }

template <class T>
EIGEN_ALWAYS_INLINE auto bits(Lanes<T> x) {
  return packet::preinterpret<typename packet::unpacket_traits<typename Lanes<T>::Packet>::integer_packet>(x.p);
}

// exp(x) = 2^m exp(r), m = round(x / ln 2), |r| <= ln 2 / 2; the polynomial is that of Cephes' expf.c (S. L. Moshier).
// Half the instructions of Eigen's pexp, which scales by 2^m in four steps to reach denormal results.
EIGEN_ALWAYS_INLINE Lanes<float> exp_clamped(Lanes<float> x) {
  using V = Lanes<float>;
  // Up to just below 2^128, whose inverse is flushed to 0, and down to the smallest normal number.
  x = packet::pmax(packet::pmin(x.p, V(88.3f).p), V(-87.3365f).p);
  const V magic(12582912.f);  // 1.5 * 2^23: adding it leaves the rounded integer in the low bits
  const V shifted = multiply_add(x, V(1.44269504088896341f), magic);
  const V m = shifted - magic;
  V r = multiply_add(m, V(-0.693359375f), x);  // ln 2 in two parts, the first exact in few bits
  r = multiply_add(m, V(2.12194440e-4f), r);
  // 1 + r + r^2 Q(r), with Q in pairs: a step of a small layer waits for this chain, so its depth counts.
  const V r2 = r * r;
  const V q01 = multiply_add(V(1.6666665459e-1f), r, V(5.0000001201e-1f));
  const V q23 = multiply_add(V(8.3334519073e-3f), r, V(4.1665795894e-2f));
  const V q45 = multiply_add(V(1.9875691500e-4f), r, V(1.3981999507e-3f));
  const V q = multiply_add(multiply_add(q45, r2, q23), r2, q01);
  const V p = multiply_add(q, r2, r) + V(1.f);
  // Times 2^m: add m to the exponent's bits.
  return packet::preinterpret<V::Packet>(packet::padd(bits(p), packet::plogical_shift_left<23>(bits(shifted))));
}

// 1 / (1 + exp(-x)). exp clamps its argument before it overflows, so +-inf saturate.
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> sigmoid(Lanes<T> x) {
  using V = Lanes<T>;
  return keep_nan(x, V(T(1)) / (V(T(1)) + exp_clamped(V(T(0)) - x)));
}

// x + x^3 P(x^2) for |x| < 0.625, after Cephes (S. L. Moshier, tanhf.c and tanh.c), where 1 - 2/(e^2x + 1) would
// cancel.
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
  const V e = exp_clamped(magnitude + magnitude);
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
