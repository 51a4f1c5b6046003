// One diagonal of the transducer's lattice (Graves 2012), in logarithms.
//
// At node (t, u) u labels are behind; a blank leads to (t + 1, u), the next label to (t, u + 1). On diagonal t + u = d
// nodes do not depend on each other. They are numbered by u or by t, so a step either stays at a number i or advances
// from i to i + 1:
//   forward, what led to a node:      x'(i) = log(e^(x(i) + stay(i)) + e^(x(i-1) + advance(i-1)))
//   backward, what follows a node:    x(i) = log(e^(x'(i) + stay(i)) + e^(x'(i+1) + advance(i)))
// and the probabilities, given all labels, to leave a node by the one and by the other step are, with log p of them
// all,
//   e^(forward(i) + stay(i) + x'(i) - log p),   e^(forward(i) + advance(i) + x'(i+1) - log p)
#pragma once
#include "cells/log_sum.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class V>
struct TransducerNode {
  V value, stayed, advanced;
};

template <class V>
struct Transducer {
  // stay: x(i) + stay(i); advance: x(i-1) + advance(i-1).
  static EIGEN_ALWAYS_INLINE V forward(V stay, V advance) { return log_sum(stay, advance); }
  // stay: x'(i) + stay(i); advance: x'(i+1) + advance(i).
  static EIGEN_ALWAYS_INLINE TransducerNode<V> backward(V forward, V stay, V advance, V log_p) {
    return {log_sum(stay, advance), exp(forward + stay - log_p), exp(forward + advance - log_p)};
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
