// What forward keeps for backward. All matrices are compact (engine/sequence/timeline.h).
#pragma once
#include "kernels/table.h"

namespace gru_native {

// Layer normalisation: W x, U h- and c normalised, before gains and biases, and each row's scale.
template <class T>
struct NormTape {
  Matrix<T> x{}, h{}, c{};
  T *x_scale = nullptr, *h_scale = nullptr, *c_scale = nullptr;
};

// Of one direction.
template <class T>
struct DirectionTape {
  Matrix<T> gates{};           // activations, [block][slot][lane]
  Matrix<T> h_prev{}, c_prev{};
  Matrix<T> gates_prev{};      // gate recurrence: i f o of the step before, as the user has them
  NormTape<T> norm;            // layer normalisation
  Matrix<T> u{};               // GRU with reset before: r * h_prev; LSTM with projection: h before it
};

// Of one layer.
template <class T>
struct LayerTape {
  Matrix<T> x{};               // its input, after dropout
  DirectionTape<T> direction[2];
};

}  // namespace gru_native
