// What a step of an optimizer needs besides weights, gradients and states; the names are those of cells/optimizers.h.
#pragma once

namespace gru_native {

template <class T>
struct SgdUpdate {
  T lr, momentum, gain, weight_decay;
};
template <class T>
struct AdagradUpdate {
  T lr, weight_decay, eps;
};
template <class T>
struct AdamUpdate {
  T weight_decay, beta1, gain1, beta2, gain2;
  T rate;     // lr / (1 - beta1^n)
  T unbias2;  // 1 / sqrt(1 - beta2^n)
  T eps, keep;
};

}  // namespace gru_native
