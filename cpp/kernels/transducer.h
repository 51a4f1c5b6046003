// Drives cells/transducer.h over a diagonal.
#pragma once
#include "cells/transducer.h"
#include "kernels/product.h"
#include "kernels/table_losses.h"

namespace gru_native::GRU_NATIVE_ISA {

inline void transducer_forward(const TransducerStep& s) {
  using V = CellLanes<double>;
  for (Index i = 0; i < s.nodes; i += V::size) {
    GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.nodes - i));
    const V stay = V::load(s.x + i) + V::load(s.stay + i);
    Transducer<V>::forward(stay, V::load(s.x + i - 1) + V::load(s.advance + i - 1)).store(s.x_out + i);
  }
}

inline void transducer_backward(const TransducerBackStep& s) {
  using V = CellLanes<double>;
  const V log_p(s.log_p);
  for (Index i = 0; i < s.nodes; i += V::size) {
    GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.nodes - i));
    const V stay = V::load(s.x + i) + V::load(s.stay + i), advance = V::load(s.x + i + 1) + V::load(s.advance + i);
    const TransducerNode<V> node = Transducer<V>::backward(V::load(s.forward + i), stay, advance, log_p);
    node.value.store(s.x_out + i);
    node.stayed.store(s.stay + i);
    node.advanced.store(s.advance + i);
  }
}

}  // namespace gru_native::GRU_NATIVE_ISA
