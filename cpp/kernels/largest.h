// The larger ones of two arrays of numbers, which windows of images are made of.
#pragma once
#include "simd/lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

// y[i] = max(a[i], b[i]); NaN is larger than all else.
template <class T>
void larger_numbers(const T* a, const T* b, Index n, T* y) {
  using V = Lanes<T>;
  const auto larger = [](V left, V right) { return V(packet::pmax<Eigen::PropagateNaN>(left.p, right.p)); };
  Index i = 0;
  for (; i + V::size <= n; i += V::size) larger(V::load(a + i), V::load(b + i)).store(y + i);
  if (i < n) larger(V::load_first(a + i, n - i), V::load_first(b + i, n - i)).store_first(y + i, n - i);
}

}  // namespace gru_native::GRU_NATIVE_ISA
