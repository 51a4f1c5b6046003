// Numbers rounded to 256 levels, as ONNX's DynamicQuantizeLinear and what multiplies its result do.
#pragma once
#include "simd/lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

// The least and the largest of n numbers and 0; both are NaN if a number is NaN or infinite.
template <class T>
void range_of(const T* a, Index n, T* low, T* high) {
  using V = Lanes<T>;
  V least(T(0)), largest(T(0)), zero(T(0));
  for (Index i = 0; i < n; i += V::size) {
    const V v = V::load_first(a + i, n - i);
    least = smaller(least, v), largest = larger(largest, v);
    zero = zero + v * V(T(0));  // or NaN
  }
  alignas(64) T all[V::size];
  *low = *high = 0;
  least.store(all);
  for (const T number : all) *low = number < *low ? number : *low;
  largest.store(all);
  for (const T number : all) *high = number > *high ? number : *high;
  zero.store(all);
  for (const T number : all)
    if (number != 0) *low = *high = number;
}

// y = factor times the level of a, a whole number: a / step rounded, but at most `most`.
template <class T>
void to_levels(const T* a, Index n, T step, T most, T factor, T* y) {
  using V = Lanes<T>;
  for (Index i = 0; i < n; i += V::size) {
    const V level = packet::print(V(V::load_first(a + i, n - i) / V(step)).p);
    (smaller(level, V(most)) * V(factor)).store_first(y + i, n - i);
  }
}

}  // namespace gru_native::GRU_NATIVE_ISA
