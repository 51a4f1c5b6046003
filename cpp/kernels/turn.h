// Turns rows into columns: how weights come into panels, and panels into those of the transposed matrix.
#pragma once
#include "simd/lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

// to[k * stride + i] = rows[i][k] for k < depth, and for i < lanes; 0 where rows[i] is null.
template <class T>
void turn(const T* const* rows, Index depth, T* to, Index stride) {
  using V = Lanes<T>;
  const V zeros(T(0));
  const T* from[V::size];
  Index in_row[V::size];  // all bits, or none: then each k is at the beginning
  alignas(64) T nothing[V::size];
  zeros.store(nothing);
  for (int i = 0; i < V::size; ++i) {
    from[i] = rows[i] ? rows[i] : nothing;
    in_row[i] = rows[i] ? ~Index(0) : 0;
  }
  Index k = 0;
  for (; k + V::size <= depth; k += V::size) {
    packet::PacketBlock<typename V::Packet, V::size> block;
    for (int i = 0; i < V::size; ++i) block.packet[i] = V::load(from[i] + (k & in_row[i])).p;
    packet::ptranspose(block);
    for (int i = 0; i < V::size; ++i) V(block.packet[i]).store(to + (k + i) * stride);
  }
  for (; k < depth; ++k)
    for (int i = 0; i < V::size; ++i) to[k * stride + i] = from[i][k & in_row[i]];
}

}  // namespace gru_native::GRU_NATIVE_ISA
