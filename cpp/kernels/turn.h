// Turns rows into columns: how weights come into panels, and panels into those of the transposed matrix.
#pragma once
#include <algorithm>

#include "simd/lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

// all: no row is null.
template <bool all, class T>
bool turn_rows(const T* const* rows, Index depth, T* to, Index stride) {
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
  V products = zeros;  // with 0: NaN where a number is NaN or infinite
  Index k = 0;
  for (; k + V::size <= depth; k += V::size) {
    packet::PacketBlock<typename V::Packet, V::size> block;
    for (int i = 0; i < V::size; ++i) block.packet[i] = V::load(at(i, k)).p;
    for (int i = 0; i < V::size; ++i) products = multiply_add(V(block.packet[i]), zeros, products);
    packet::ptranspose(block);
    for (int i = 0; i < V::size; ++i) V(block.packet[i]).store(to + (k + i) * stride);
  }
  alignas(64) T sums[V::size];
  products.store(sums);
  for (; k < depth; ++k)
    for (int i = 0; i < V::size; ++i) {
      to[k * stride + i] = *at(i, k);
      sums[i] += *at(i, k) * T(0);
    }
  return std::all_of(sums, sums + V::size, [](T sum) { return sum == 0; });
}

// to[k * stride + i] = rows[i][k] for k < depth, and for i < lanes; 0 where rows[i] is null. Whether all are finite.
template <class T>
bool turn(const T* const* rows, Index depth, T* to, Index stride) {
  const bool all = std::all_of(rows, rows + Lanes<T>::size, [](const T* row) { return row != nullptr; });
  return all ? turn_rows<true>(rows, depth, to, stride) : turn_rows<false>(rows, depth, to, stride);
}

}  // namespace gru_native::GRU_NATIVE_ISA
