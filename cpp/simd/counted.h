// Lanes that count each operation on them, once for every unit that exists (the instrumented build only).
#pragma once
#include <type_traits>

#include "simd/activations.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class T>
struct CellLanes {
  using L = Lanes<T>;
  static constexpr int size = L::size;
  enum Literal { none, zero, one };
  L v;
  Literal literal = none;

  CellLanes() = default;
  CellLanes(L lanes) : v(lanes) {}
  // An int is a literal in an equation. 0 + a and 1 * a are what a missing gate leaves behind: nothing is done. (Sums
  // begin at T(0), and then every term is an addition.)
  template <class N, std::enable_if_t<std::is_arithmetic_v<N>, int> = 0>
  CellLanes(N value) : v(T(value)),
                       literal(!std::is_same_v<N, int> || value > 1 ? none
                               : value == 0                         ? zero
                                                                    : one) {}

  static CellLanes load(const T* a) { return L::load(a); }
  void store(T* a) const { v.store(a); }
  static CellLanes load_first(const T* a, Index n) { return L::load_first(a, n); }
  void store_first(T* a, Index n) const { v.store_first(a, n); }
  CellLanes first(Index n) const { return v.first(n); }

  static void count(Work work) { count_work(work, units_at_hand); }

  friend CellLanes operator+(CellLanes a, CellLanes b) {
    if (a.literal != zero && b.literal != zero) count(Work::add);
    return a.v + b.v;
  }
  friend CellLanes operator-(CellLanes a, CellLanes b) {
    count(Work::add);
    return a.v - b.v;
  }
  friend CellLanes operator*(CellLanes a, CellLanes b) {
    if (a.literal != one && b.literal != one) count(Work::multiply);
    return a.v * b.v;
  }
  friend CellLanes operator/(CellLanes a, CellLanes b) {
    count(Work::divide);
    return a.v / b.v;
  }
};

template <class T>
CellLanes<T> multiply_add(CellLanes<T> a, CellLanes<T> b, CellLanes<T> c) {
  CellLanes<T>::count(Work::multiply);
  CellLanes<T>::count(Work::add);
  return multiply_add(a.v, b.v, c.v);
}
template <class T>
CellLanes<T> where_less(CellLanes<T> a, CellLanes<T> b, CellLanes<T> x, CellLanes<T> y) {
  CellLanes<T>::count(Work::select);
  return where_less(a.v, b.v, x.v, y.v);
}
template <class T>
CellLanes<T> larger(CellLanes<T> a, CellLanes<T> b) {
  CellLanes<T>::count(Work::select);
  return larger(a.v, b.v);
}
template <class T>
CellLanes<T> smaller(CellLanes<T> a, CellLanes<T> b) {
  CellLanes<T>::count(Work::select);
  return smaller(a.v, b.v);
}
// Without a limit nothing is clipped.
template <class T>
bool is_limit(CellLanes<T> limit) {
  return first_of(limit.v) < std::numeric_limits<T>::infinity();
}
template <class T>
CellLanes<T> clamp(CellLanes<T> x, CellLanes<T> limit) {
  if (is_limit(limit)) CellLanes<T>::count(Work::clip);
  return clamp(x.v, limit.v);
}
template <class T>
CellLanes<T> clamp_backward(CellLanes<T> x, CellLanes<T> limit, CellLanes<T> dy) {
  if (is_limit(limit)) CellLanes<T>::count(Work::abs), CellLanes<T>::count(Work::select);
  return clamp_backward(x.v, limit.v, dy.v);
}
// Each of these numbers has been counted when it came into its lane; that there are several is padding.
template <class T>
CellLanes<T> sum_of_lanes(CellLanes<T> x) {
  return sum_of_lanes(x.v);
}
template <class T>
CellLanes<T> max_of_lanes(CellLanes<T> x) {
  return max_of_lanes(x.v);
}

template <class T>
T first_of(CellLanes<T> x) {
  return first_of(x.v);
}
template <class T>
CellLanes<T> sqrt(CellLanes<T> x) {
  CellLanes<T>::count(Work::sqrt);
  return sqrt(x.v);
}
template <class T>
CellLanes<T> sigmoid(CellLanes<T> x) {
  CellLanes<T>::count(Work::sigmoid);
  return sigmoid(x.v);
}
template <class T>
CellLanes<T> tanh(CellLanes<T> x) {
  CellLanes<T>::count(Work::tanh);
  return tanh(x.v);
}
template <class T>
CellLanes<T> relu(CellLanes<T> x) {
  CellLanes<T>::count(Work::relu);
  return relu(x.v);
}
template <class T>
CellLanes<T> exp(CellLanes<T> x) {
  CellLanes<T>::count(Work::exp);
  return exp(x.v);
}
template <class T>
CellLanes<T> log(CellLanes<T> x) {
  CellLanes<T>::count(Work::log);
  return log(x.v);
}
template <class T>
CellLanes<T> abs(CellLanes<T> x) {
  CellLanes<T>::count(Work::abs);
  return abs(x.v);
}

}  // namespace gru_native::GRU_NATIVE_ISA
