// Drives cells/ctc.h over the labels of one sequence.
#pragma once
#include "cells/ctc.h"
#include "kernels/product.h"
#include "kernels/table_losses.h"

namespace gru_native::GRU_NATIVE_ISA {

// states = f(u) for each vector of u.
template <class F>
EIGEN_ALWAYS_INLINE void each_state(const CtcStep& s, const F& f) {
  using V = CellLanes<double>;
  for (Index u = 0; u <= s.labels; u += V::size) {
    GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.labels + 1 - u));
    const CtcStates<V> states = f(u);
    states.b.store(s.b_out + u);
    states.l.store(s.l_out + u);
  }
}

inline void ctc_forward(const CtcStep& s) {
  using V = CellLanes<double>;
  const V blank(s.blank);
  each_state(s, [&](Index u) {
    const CtcStates<V> here{V::load(s.b + u), V::load(s.l + u)}, before{V::load(s.b + u - 1), V::load(s.l + u - 1)};
    return Ctc<V>::forward(here, before, V::load(s.skip + u), blank, V::load(s.label + u));
  });
}

inline void ctc_backward(const CtcStep& s) {
  using V = CellLanes<double>;
  const V blank(s.blank);
  each_state(s, [&](Index u) {
    const auto l = [&](Index at) { return V::load(s.l + at) + V::load(s.label + at); };
    return Ctc<V>::backward({V::load(s.b + u) + blank, l(u)}, l(u + 1), V::load(s.skip + u + 1));
  });
}

// The probabilities to be in each state of a label at one step, and in any state of the blank.
inline double ctc_occupancy(const CtcOccupancy& s) {
  using V = CellLanes<double>;
  const V log_p(s.log_p);
  V blanks(0.0);
  for (Index u = 0; u <= s.labels; u += V::size) {
    GRU_NATIVE_COUNTING(units_at_hand = min(V::size, s.labels + 1 - u));
    blanks = blanks + exp(V::load(s.b_forward + u) + V::load(s.b_backward + u) - log_p);
    exp(V::load(s.l_forward + u) + V::load(s.l_backward + u) - log_p).store(s.l + u);
  }
  return first_of(sum_of_lanes(blanks));
}

}  // namespace gru_native::GRU_NATIVE_ISA
