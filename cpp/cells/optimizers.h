// What optimizers do with one weight w and its gradient g, as PyTorch defines it.
//
// All:      g <- g + weight_decay w
// SGD:      b <- momentum b + gain g;  w <- w - lr b, or (Nesterov 1983, in the form of Sutskever et al. 2013)
//           w <- w - lr (g + momentum b);  without momentum w <- w - lr g
// Adagrad (Duchi, Hazan and Singer 2011):  s <- s + g^2;  w <- w - lr g / (sqrt(s) + eps)
// Adam (Kingma and Ba 2015), at its n-th step:
//           m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
//           w <- keep w - lr / (1 - beta1^n) m / (sqrt(v) / sqrt(1 - beta2^n) + eps)
//           keep is 1, or 1 - lr weight_decay (AdamW, Loshchilov and Hutter 2019), which then is not added to g
#pragma once
#include "cells/updates.h"
#include "simd/cell_lanes.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class V, class T>
V decayed(V w, V g, T weight_decay) {
  return multiply_add(V(weight_decay), w, g);
}

struct PlainSgd {
  static constexpr int states = 0;
  template <class V, class T>
  static EIGEN_ALWAYS_INLINE void step(const SgdUpdate<T>& u, V& w, V g, V*) {
    w = w - V(u.lr) * decayed(w, g, u.weight_decay);
  }
};

template <bool nesterov>
struct MomentumSgd {
  static constexpr int states = 1;
  template <class V, class T>
  static EIGEN_ALWAYS_INLINE void step(const SgdUpdate<T>& u, V& w, V g, V* state) {
    V& b = state[0];
    g = decayed(w, g, u.weight_decay);
    b = multiply_add(V(u.momentum), b, V(u.gain) * g);
    w = w - V(u.lr) * (nesterov ? multiply_add(V(u.momentum), b, g) : b);
  }
};

struct Adagrad {
  static constexpr int states = 1;
  template <class V, class T>
  static EIGEN_ALWAYS_INLINE void step(const AdagradUpdate<T>& u, V& w, V g, V* state) {
    V& s = state[0];
    g = decayed(w, g, u.weight_decay);
    s = multiply_add(g, g, s);
    w = w - V(u.lr) * g / (sqrt(s) + V(u.eps));
  }
};

struct Adam {
  static constexpr int states = 2;
  template <class V, class T>
  static EIGEN_ALWAYS_INLINE void step(const AdamUpdate<T>& u, V& w, V g, V* state) {
    V &m = state[0], &v = state[1];
    g = decayed(w, g, u.weight_decay);
    m = multiply_add(V(u.beta1), m, V(u.gain1) * g);
    v = multiply_add(V(u.beta2), v, V(u.gain2) * g * g);
    w = V(u.keep) * w - V(u.rate) * m / multiply_add(sqrt(v), V(u.unbias2), V(u.eps));
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
