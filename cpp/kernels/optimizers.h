// Drives cells/optimizers.h over arrays.
#pragma once
#include "cells/optimizers.h"
#include "kernels/elementwise.h"

namespace gru_native::GRU_NATIVE_ISA {

template <class Cell, class Update, class T>
void update_weights(const Update& update, const UpdatedWeights<T>& a) {
  using V = CellLanes<T>;
  const Update u = update;
  each_vector<T>(a.n, [&](Index i, Index count) {
    V w = V::load_first(a.w + i, count), state[Cell::states + 1];
    for (int s = 0; s < Cell::states; ++s) state[s] = V::load_first(a.state[s] + i, count);
    Cell::step(u, w, V::load_first(a.g + i, count), state);
    w.store_first(a.w + i, count);
    for (int s = 0; s < Cell::states; ++s) state[s].store_first(a.state[s] + i, count);
  });
}

template <class T>
constexpr OptimizerKernels<T> optimizer_kernels() {
  return {&update_weights<PlainSgd, SgdUpdate<T>, T>, &update_weights<MomentumSgd<false>, SgdUpdate<T>, T>,
          &update_weights<MomentumSgd<true>, SgdUpdate<T>, T>, &update_weights<Adagrad, AdagradUpdate<T>, T>,
          &update_weights<Adam, AdamUpdate<T>, T>};
}

}  // namespace gru_native::GRU_NATIVE_ISA
