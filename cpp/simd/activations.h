// Logistic and tanh, right within 4 ulp over all floats (swept in tests/simd/activations.cpp). Eigen's own two lose all
// relative precision in the logistic's left tail, and tanh is off by more.
#pragma once
#include "simd/lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class T, class P>
EIGEN_ALWAYS_INLINE auto bits(Lanes<T, P> x) {
  return packet::preinterpret<typename packet::unpacket_traits<typename Lanes<T, P>::Packet>::integer_packet>(x.p);
}

// exp(t x) for a t of -1 or 2, as scale + scale * m1, scale a power of two: scale + c is exact where x is near zero and
// c is 1 or -1, so plus(c) loses nothing there. scale = 2^n, n = round(t x / ln 2), m1 = exp(t r) - 1, |t r| <= ln 2 /
// 2; the polynomial is that of Cephes' expf.c (S. L. Moshier). t x must lie where 2^n is a normal number; NaN makes m1
// NaN. A step of a small layer waits for this chain of operations, so its length counts: t is in the constants, whose
// products with it are exact, and the polynomial is summed in pairs.
template <class V>
struct Exp {
  V scale, scale_t, m1_t;  // scale * t, m1 / t
  EIGEN_ALWAYS_INLINE V plus(float c) const { return multiply_add(scale_t, m1_t, scale + V(c)); }
};
template <int t, class P>
EIGEN_ALWAYS_INLINE Exp<Lanes<float, P>> exp_of_times(Lanes<float, P> x) {
  using V = Lanes<float, P>;
  static_assert(t == -1 || t == 2);
  constexpr float t2 = t * t, t3 = t2 * t, t4 = t3 * t, t5 = t4 * t, t6 = t5 * t;
  const V magic(12582912.f);  // 1.5 * 2^23: adding it leaves the rounded integer in the low bits
  const V shifted = multiply_add(x, V(t * 1.44269504088896341f), magic);
  const V n = shifted - magic;
  V r = multiply_add(n, V(-0.693359375f / t), x);  // ln 2 in two parts, the first exact in few bits
  r = multiply_add(n, V(2.12194440e-4f / t), r);
  const V r2 = r * r;
  const V q01 = multiply_add(V(t2 * 1.6666665459e-1f), r, V(t * 5.0000001201e-1f));
  const V q23 = multiply_add(V(t4 * 8.3334519073e-3f), r, V(t3 * 4.1665795894e-2f));
  const V q45 = multiply_add(V(t6 * 1.9875691500e-4f), r, V(t5 * 1.3981999507e-3f));
  // 2^n: n, which the low bits of `shifted` hold, added to the exponent.
  const auto exponent = packet::plogical_shift_left<23>(bits(shifted));
  const V scale = packet::preinterpret<P>(packet::padd(bits(V(1.f)), exponent));
  const V scale_t = packet::preinterpret<P>(packet::padd(bits(V(t)), exponent));
  return {scale, scale_t, multiply_add(r2 * r2, multiply_add(q45, r2, q23), multiply_add(r2, q01, r))};
}

// min and max of Eigen return their first argument where it is NaN: a clamped NaN is still one.
template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> clamp(Lanes<T, P> x, Lanes<T, P> low, Lanes<T, P> high) {
  return packet::pmax(packet::pmin(x.p, high.p), low.p);
}
template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> clamp(Lanes<T, P> x, Lanes<T, P> limit) {
  return clamp(x, Lanes<T, P>(T(0)) - limit, limit);
}
template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> abs(Lanes<T, P> x) {
  return packet::pabs(x.p);
}
// Nothing flows back where x was cut.
template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> clamp_backward(Lanes<T, P> x, Lanes<T, P> limit, Lanes<T, P> dy) {
  return where_less(limit, abs(x), Lanes<T, P>(T(0)), dy);
}
template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> exp(Lanes<T, P> x) {
  return keep_nan(x, Lanes<T, P>(packet::pexp(x.p)));
}
template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> log(Lanes<T, P> x) {
  return keep_nan(x, Lanes<T, P>(packet::plog(x.p)));
}

// 1 / (1 + exp(-x)). +-inf saturate: the inverse of nearly 2^128 is flushed to 0.
template <class P>
EIGEN_ALWAYS_INLINE Lanes<float, P> sigmoid(Lanes<float, P> x) {
  using V = Lanes<float, P>;
  return V(1.f) / exp_of_times<-1>(clamp(x, V(-88.3f), V(87.3365f))).plus(1.f);
}
EIGEN_ALWAYS_INLINE Lanes<double> sigmoid(Lanes<double> x) {
  using V = Lanes<double>;
  return keep_nan(x, V(1.) / (V(1.) + V(packet::pexp((V(0.) - x).p))));
}

// a with the sign of x; a >= 0.
template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> with_sign_of(Lanes<T, P> x, Lanes<T, P> a) {
  return packet::por(a.p, packet::pand(x.p, Lanes<T, P>(T(-0.0)).p));
}

// tanh |x| by fused multiply-adds: 2 t / (1 + t^2), t = tanh(|x| / 2) = n / d, n and d polynomials that were fitted to
// it by relative errors. Where tanh is near 1 it hardly sees an error of t, so these are short, and so is the chain of
// operations. From |x| = 9.6 on it is 1. Rounding leaves 3.9 ulp; without fused multiply-adds it would leave 4.6.
template <class V>
EIGEN_ALWAYS_INLINE V tanh_of_abs(V x) {
  const V a(packet::pmin(x.p, V(9.6f).p));
  const V a2 = a * a, a3 = a2 * a, a4 = a2 * a2;
  const V n = multiply_add(multiply_add(V(1.141558605e-4f), a2, V(2.976938337e-2f)), a3, a);
  const V d24 = multiply_add(V(2.45374713e-6f), a2, V(2.41216598e-3f));
  const V d = V(2.f) + multiply_add(d24, a4, V(2.262053638e-1f) * a2);
  const V above = (n + n) * d, below = multiply_add(d, d, n * n);
  return V(packet::pmin(above.p, below.p)) / below;  // never above 1
}
template <class P>
EIGEN_ALWAYS_INLINE Lanes<float, P> tanh(Lanes<float, P> x) {
  using V = Lanes<float, P>;
  if constexpr (fused_multiply_add) return with_sign_of(x, tanh_of_abs(abs(x)));
  const Exp<V> e = exp_of_times<2>(V(packet::pmin(abs(x).p, V(20.f).p)));  // (e - 1) / (e + 1), e = exp(2|x|)
  return with_sign_of(x, e.plus(-1.f) / e.plus(1.f));
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
  const V magnitude = abs(x);
  const V near = multiply_add(p * z / q, magnitude, magnitude);
  const V far = V(1.) - V(2.) / (V(packet::pexp((magnitude + magnitude).p)) + V(1.));
  return keep_nan(x, with_sign_of(x, where_less(magnitude, V(0.625), near, far)));
}

// max(x, 0); NaN stays NaN.
template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> relu(Lanes<T, P> x) {
  return where_less(x, Lanes<T, P>(T(0)), Lanes<T, P>(T(0)), x);
}

}  // namespace gru_native::GRU_NATIVE_ISA
