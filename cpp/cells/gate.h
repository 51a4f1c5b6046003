// A gate s lets a value v through: y = s * v. The memory of an LSTM, of a sequence or of a tree, is made of it:
//   c = i * g + f * c-      in a tree f_k * c_k for each child k
//   h = o * out(c)
#pragma once
#include "simd/cell_lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class V>
struct Gate {
  V s, v;
  EIGEN_ALWAYS_INLINE V forward() const { return s * v; }
  EIGEN_ALWAYS_INLINE V backward_to_gate(V dy) const { return dy * v; }
  EIGEN_ALWAYS_INLINE V backward_to_value(V dy) const { return dy * s; }
};

}  // namespace gru_native::GRU_NATIVE_ISA
