// A vector of `lanes` numbers over Eigen's packet functions: what the cells are written on.
#pragma once
#include <Eigen/Core>

#include "simd/executed.h"
#include "simd/index.h"

namespace gru_native::GRU_NATIVE_ISA {

namespace packet = Eigen::internal;

// P: the widest packet that there is, or one half as wide.
template <class T, class P = typename packet::packet_traits<T>::type>
struct Lanes {
  using Packet = P;
  static constexpr int size = packet::unpacket_traits<Packet>::size;
  Packet p;

  EIGEN_ALWAYS_INLINE Lanes() = default;
  EIGEN_ALWAYS_INLINE Lanes(Packet packet) : p(packet) {}
  EIGEN_ALWAYS_INLINE Lanes(T value) : p(packet::pset1<Packet>(value)) {}

  static EIGEN_ALWAYS_INLINE Lanes load(const T* a) { return packet::ploadu<Packet>(a); }
  EIGEN_ALWAYS_INLINE void store(T* a) const { packet::pstoreu(a, p); }

  // The first n lanes only, for the user's arrays, which end where they end.
  static EIGEN_ALWAYS_INLINE Lanes load_first(const T* a, Index n) {
    if (n >= size) return load(a);
    if constexpr (packet::unpacket_traits<Packet>::masked_load_available &&
                  sizeof(typename packet::packet_traits<T>::type) == 64)  // else it is slow
      return packet::ploadu<Packet>(a, static_cast<typename packet::unpacket_traits<Packet>::mask_t>((1U << n) - 1));
    alignas(64) T whole[size] = {};
    for (Index i = 0; i < n; ++i) whole[i] = a[i];
    return load(whole);
  }
  EIGEN_ALWAYS_INLINE void store_first(T* a, Index n) const {
    if (n >= size) return store(a);
    if constexpr (packet::unpacket_traits<Packet>::masked_store_available &&
                  sizeof(typename packet::packet_traits<T>::type) == 64)  // else it is slow
      return packet::pstoreu(a, p, static_cast<typename packet::unpacket_traits<Packet>::mask_t>((1U << n) - 1));
    alignas(64) T whole[size];
    store(whole);
    for (Index i = 0; i < n; ++i) a[i] = whole[i];
  }

  // The first n lanes, the others 0.
  EIGEN_ALWAYS_INLINE Lanes first(Index n) const {
    alignas(64) T whole[size];
    store(whole);
    return load_first(whole, n);
  }

  friend EIGEN_ALWAYS_INLINE Lanes operator+(Lanes a, Lanes b) { return packet::padd(a.p, b.p); }
  friend EIGEN_ALWAYS_INLINE Lanes operator-(Lanes a, Lanes b) { return packet::psub(a.p, b.p); }
  friend EIGEN_ALWAYS_INLINE Lanes operator*(Lanes a, Lanes b) { return packet::pmul(a.p, b.p); }
  friend EIGEN_ALWAYS_INLINE Lanes operator/(Lanes a, Lanes b) { return packet::pdiv(a.p, b.p); }
};

template <class T>
using HalfLanes = Lanes<T, typename packet::unpacket_traits<typename Lanes<T>::Packet>::half>;

// Whether it rounds once.
#if defined(__FMA__) || defined(__aarch64__)
inline constexpr bool fused_multiply_add = true;
#else
inline constexpr bool fused_multiply_add = false;
#endif
template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> multiply_add(Lanes<T, P> a, Lanes<T, P> b, Lanes<T, P> c) {
  return packet::pmadd(a.p, b.p, c.p);
}

// where(a < b, x, y), lane by lane.
template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> where_less(Lanes<T, P> a, Lanes<T, P> b, Lanes<T, P> x, Lanes<T, P> y) {
  return packet::pselect(packet::pcmp_lt(a.p, b.p), x.p, y.p);
}

// Neither is for NaN.
template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> larger(Lanes<T, P> a, Lanes<T, P> b) {
  return packet::pmax(a.p, b.p);
}
template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> smaller(Lanes<T, P> a, Lanes<T, P> b) {
  return packet::pmin(a.p, b.p);
}

template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> sum_of_lanes(Lanes<T, P> x) {
  return packet::predux(x.p);
}

template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> max_of_lanes(Lanes<T, P> x) {
  return packet::predux_max(x.p);
}

template <class T, class P>
EIGEN_ALWAYS_INLINE T first_of(Lanes<T, P> x) {
  return packet::pfirst(x.p);
}
template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> sqrt(Lanes<T, P> x) {
  return packet::psqrt(x.p);
}

// y, but NaN wherever x is NaN.
template <class T, class P>
EIGEN_ALWAYS_INLINE Lanes<T, P> keep_nan(Lanes<T, P> x, Lanes<T, P> y) {
  return packet::pselect(packet::pcmp_eq(x.p, x.p), y.p, x.p);
}

}  // namespace gru_native::GRU_NATIVE_ISA
