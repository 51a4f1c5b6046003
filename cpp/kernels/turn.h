// Turns rows into columns: how weights come into panels, and panels into those of the transposed matrix.
#pragma once
#include <algorithm>

#include "simd/lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

// all: no row is null.
template <bool all, class T>
void turn_rows(const T* const* rows, Index depth, T* to, Index stride) {
  using V = Lanes<T>;
  const V zeros(T(0));
  const T* from[V::size];
  Index in_row[V::size];  // all bits, or none: then each k is at the beginning
  alignas(64) T nothing[V::size];
  zeros.store(nothing);
  for (int i = 0; i < V::size; ++i) {
    from[i] = all || rows[i] ? rows[i] : nothing;
    in_row[i] = all || rows[i] ? ~Index(0) : 0;
  }
  const auto at = [&](int i, Index k) { return from[i] + (all ? k : k & in_row[i]); };
  Index k = 0;
  for (; k + V::size <= depth; k += V::size) {
    packet::PacketBlock<typename V::Packet, V::size> block;
    for (int i = 0; i < V::size; ++i) block.packet[i] = V::load(at(i, k)).p;
    packet::ptranspose(block);
    for (int i = 0; i < V::size; ++i) V(block.packet[i]).store(to + (k + i) * stride);
  }
  for (; k < depth; ++k)
    for (int i = 0; i < V::size; ++i) to[k * stride + i] = *at(i, k);
}

// Whether all n numbers are finite: only then are their products with 0 all 0, and else one is NaN.
template <class T>
bool all_finite(const T* a, Index n) {
  using V = Lanes<T>;
  constexpr int chains = 4;
  const V zeros(T(0));
  V sums[chains] = {zeros, zeros, zeros, zeros};
  Index k = 0;
  for (; k + chains * V::size <= n; k += chains * V::size)
    for (int c = 0; c < chains; ++c) sums[c] = multiply_add(V::load(a + k + c * V::size), zeros, sums[c]);
  for (; k < n; k += V::size) sums[0] = multiply_add(V::load_first(a + k, n - k), zeros, sums[0]);
  alignas(64) T sum[V::size];
  ((sums[0] + sums[1]) + (sums[2] + sums[3])).store(sum);
  return std::all_of(sum, sum + V::size, [](T x) { return x == 0; });
}

// to[k * stride + i] = rows[i][k] for k < depth, and for i < lanes; 0 where rows[i] is null.
template <class T>
void turn(const T* const* rows, Index depth, T* to, Index stride) {
  const bool all = std::all_of(rows, rows + Lanes<T>::size, [](const T* row) { return row != nullptr; });
  return all ? turn_rows<true>(rows, depth, to, stride) : turn_rows<false>(rows, depth, to, stride);
}

}  // namespace gru_native::GRU_NATIVE_ISA
