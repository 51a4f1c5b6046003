// One step of connectionist temporal classification (Graves, Fernandez, Gomez and Schmidhuber 2006), in logarithms.
//
// Of labels y(1) .. y(U), b(u) is the state in which u of them are behind and the last symbol was a blank, and l(u)
// that in which the last symbol was y(u); in the paper's l' they are places 2u + 1 and 2u. There is no l(0).
//
// forward, what led to a state at t:        b'(u) = log(e^b(u) + e^l(u)) + blank
//                                           l'(u) = log(e^l(u) + e^b(u-1) + e^(l(u-1) + skip(u))) + label(u)
// backward, what follows a state after t:   b(u) = log(e^b'(u) + e^l'(u+1))
//                                           l(u) = log(e^l'(u) + e^b'(u) + e^(l'(u+1) + skip(u+1)))
//   where b' and l' already have the log probability of their symbol at t + 1.
// skip(u) is 0 if y(u) may follow y(u-1) without a blank between them, else -infinity.
#pragma once
#include "cells/log_sum.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class V>
struct CtcStates {
  V b, l;
};

template <class V>
struct Ctc {
  // here: of u; before: of u - 1.
  static EIGEN_ALWAYS_INLINE CtcStates<V> forward(CtcStates<V> here, CtcStates<V> before, V skip, V blank, V label) {
    return {log_sum(here.b, here.l) + blank, log_sum(here.l, before.b, before.l + skip) + label};
  }
  // here: of u; next_l and next_skip: of u + 1.
  static EIGEN_ALWAYS_INLINE CtcStates<V> backward(CtcStates<V> here, V next_l, V next_skip) {
    return {log_sum(here.b, next_l), log_sum(here.l, here.b, next_l + next_skip)};
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
