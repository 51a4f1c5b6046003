// The optimizers' part of the border between engine and kernels (kernels/table.h).
#pragma once
#include "cells/updates.h"
#include "simd/index.h"

namespace gru_native {

// n weights that lie side by side. w and the states, of which there are 0 to 2, are written.
template <class T>
struct UpdatedWeights {
  T* w;
  const T* g;
  T* state[2];
  Index n;
};

template <class T>
struct OptimizerKernels {
  void (*plain_sgd)(const SgdUpdate<T>&, const UpdatedWeights<T>&);
  void (*momentum_sgd)(const SgdUpdate<T>&, const UpdatedWeights<T>&);
  void (*nesterov_sgd)(const SgdUpdate<T>&, const UpdatedWeights<T>&);
  void (*adagrad)(const AdagradUpdate<T>&, const UpdatedWeights<T>&);
  void (*adam)(const AdamUpdate<T>&, const UpdatedWeights<T>&);
};

}  // namespace gru_native
