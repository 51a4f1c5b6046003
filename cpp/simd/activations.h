// Logistic and tanh from exp, right to a few ulp over all floats (swept in tests/simd/activations.cpp).
// Eigen's own two are fast rational fits, but lose all relative precision in the logistic's left tail.
#pragma once
#include "simd/lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class T>
EIGEN_ALWAYS_INLINE auto bits(Lanes<T> x) {
  return packet::preinterpret<typename packet::unpacket_traits<typename Lanes<T>::Packet>::integer_packet>(x.p);
}

// exp(x) = scale + scale * m1, scale a power of two: 1 + exp and 1 - exp then lose nothing where x is near zero.
// scale = 2^n, n = round(x / ln 2), m1 = exp(r) - 1, |r| <= ln 2 / 2; the polynomial is that of Cephes' expf.c
// (S. L. Moshier). x must lie where 2^n is a normal number; NaN makes m1 NaN.
struct Exp {
  Lanes<float> scale, m1;
};
EIGEN_ALWAYS_INLINE Exp exp_in_parts(Lanes<float> x) {
  using V = Lanes<float>;
  const V magic(12582912.f);  // 1.5 * 2^23: adding it leaves the rounded integer in the low bits
  const V shifted = multiply_add(x, V(1.44269504088896341f), magic);
  const V n = shifted - magic;
  V r = multiply_add(n, V(-0.693359375f), x);  // ln 2 in two parts, the first exact in few bits
  r = multiply_add(n, V(2.12194440e-4f), r);
  // r + r^2 Q(r), with Q in pairs: a step of a small layer waits for this chain, so its depth counts.
  const V r2 = r * r;
  const V q01 = multiply_add(V(1.6666665459e-1f), r, V(5.0000001201e-1f));
  const V q23 = multiply_add(V(8.3334519073e-3f), r, V(4.1665795894e-2f));
  const V q45 = multiply_add(V(1.9875691500e-4f), r, V(1.3981999507e-3f));
  const V q = multiply_add(multiply_add(q45, r2, q23), r2, q01);
  // 2^n: n, which the low bits of `shifted` hold, added to the exponent of 1.
  const V scale =
      packet::preinterpret<V::Packet>(packet::padd(bits(V(1.f)), packet::plogical_shift_left<23>(bits(shifted))));
  return {scale, multiply_add(q, r2, r)};
}

// min and max of Eigen return their first argument where it is NaN: a clamped NaN is still one.
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> clamp(Lanes<T> x, Lanes<T> low, Lanes<T> high) {
  return packet::pmax(packet::pmin(x.p, high.p), low.p);
}
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> clamp(Lanes<T> x, Lanes<T> limit) {
  return clamp(x, Lanes<T>(T(0)) - limit, limit);
}
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> abs(Lanes<T> x) {
  return packet::pabs(x.p);
}
// Nothing flows back where x was cut.
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> clamp_backward(Lanes<T> x, Lanes<T> limit, Lanes<T> dy) {
  return where_less(limit, abs(x), Lanes<T>(T(0)), dy);
}
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> exp(Lanes<T> x) {
  return keep_nan(x, Lanes<T>(packet::pexp(x.p)));
}
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> log(Lanes<T> x) {
  return keep_nan(x, Lanes<T>(packet::plog(x.p)));
}

// 1 / (1 + exp(-x)). +-inf saturate: the inverse of nearly 2^128 is flushed to 0.
EIGEN_ALWAYS_INLINE Lanes<float> sigmoid(Lanes<float> x) {
  using V = Lanes<float>;
  const Exp e = exp_in_parts(clamp(V(0.f) - x, V(-87.3365f), V(88.3f)));
  return V(1.f) / multiply_add(e.scale, e.m1, e.scale + V(1.f));
}
EIGEN_ALWAYS_INLINE Lanes<double> sigmoid(Lanes<double> x) {
  using V = Lanes<double>;
  return keep_nan(x, V(1.) / (V(1.) + V(packet::pexp((V(0.) - x).p))));
}

// a with the sign of x; a >= 0.
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> with_sign_of(Lanes<T> x, Lanes<T> a) {
  return packet::por(a.p, packet::pand(x.p, Lanes<T>(T(-0.0)).p));
}

// tanh |x| = d / (d + 2), d = exp(2|x|) - 1; from |x| = 20 on it is 1.
EIGEN_ALWAYS_INLINE Lanes<float> tanh(Lanes<float> x) {
  using V = Lanes<float>;
  const V magnitude = abs(x);
  const Exp e = exp_in_parts(packet::pmin((magnitude + magnitude).p, V(40.f).p));
  const V d = multiply_add(e.scale, e.m1, e.scale - V(1.f));
  return with_sign_of(x, d / (d + V(2.f)));
}

// Near zero x + x^3 P(x^2) / Q(x^2), after Cephes' tanh.c (S. L. Moshier), where 1 - 2 / (exp(2|x|) + 1) would cancel.
EIGEN_ALWAYS_INLINE Lanes<double> tanh(Lanes<double> x) {
  using V = Lanes<double>;
  const V z = x * x;
  V p = multiply_add(z, V(-9.64399179425052238628e-1), V(-9.92877231001918586564e1));
  p = multiply_add(z, p, V(-1.61468768441708447952e3));
  V q = z + V(1.12811678491632931402e2);
  q = multiply_add(z, q, V(2.23548839060100448583e3));
  q = multiply_add(z, q, V(4.84406305325125486048e3));
  const V near = multiply_add(p * z / q, x, x);
  const V magnitude = abs(x);
  const V far = V(1.) - V(2.) / (V(packet::pexp((magnitude + magnitude).p)) + V(1.));
  return keep_nan(x, where_less(magnitude, V(0.625), near, with_sign_of(x, far)));
}

// max(x, 0); NaN stays NaN.
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> relu(Lanes<T> x) {
  return where_less(x, Lanes<T>(T(0)), Lanes<T>(T(0)), x);
}

}  // namespace gru_native::GRU_NATIVE_ISA
