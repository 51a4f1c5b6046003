// A vector of `lanes` numbers over Eigen's packet functions: what the cells are written on.
#pragma once
#include <Eigen/Core>

#include "simd/executed.h"
#include "simd/index.h"

namespace gru_native::GRU_NATIVE_ISA {

namespace packet = Eigen::internal;

template <class T>
struct Lanes {
  using Packet = typename packet::packet_traits<T>::type;
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
    alignas(64) T whole[size] = {};
    for (Index i = 0; i < n; ++i) whole[i] = a[i];
    return load(whole);
  }
  EIGEN_ALWAYS_INLINE void store_first(T* a, Index n) const {
    if (n >= size) return store(a);
    if constexpr (packet::unpacket_traits<Packet>::masked_store_available && sizeof(Packet) == 64)  // else it is slow
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
EIGEN_ALWAYS_INLINE Lanes<T> multiply_add(Lanes<T> a, Lanes<T> b, Lanes<T> c) {
  return packet::pmadd(a.p, b.p, c.p);
}

// where(a < b, x, y), lane by lane.
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> where_less(Lanes<T> a, Lanes<T> b, Lanes<T> x, Lanes<T> y) {
  return packet::pselect(packet::pcmp_lt(a.p, b.p), x.p, y.p);
}

// Neither is for NaN.
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> larger(Lanes<T> a, Lanes<T> b) {
  return packet::pmax(a.p, b.p);
}
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> smaller(Lanes<T> a, Lanes<T> b) {
  return packet::pmin(a.p, b.p);
}

template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> sum_of_lanes(Lanes<T> x) {
  return packet::predux(x.p);
}

template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> max_of_lanes(Lanes<T> x) {
  return packet::predux_max(x.p);
}

template <class T>
EIGEN_ALWAYS_INLINE T first_of(Lanes<T> x) {
  return packet::pfirst(x.p);
}
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> sqrt(Lanes<T> x) {
  return packet::psqrt(x.p);
}

// y, but NaN wherever x is NaN.
template <class T>
EIGEN_ALWAYS_INLINE Lanes<T> keep_nan(Lanes<T> x, Lanes<T> y) {
  return packet::pselect(packet::pcmp_eq(x.p, x.p), y.p, x.p);
}

}  // namespace gru_native::GRU_NATIVE_ISA
