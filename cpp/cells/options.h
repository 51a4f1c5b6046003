// What a cell says of itself, and what it may leave open until the program runs: plain structs, the same for every
// instruction set.
#pragma once
#include "gru_native/activation.h"
#include "simd/index.h"

namespace gru_native {

// A function that is chosen when the program runs. clipped: a is held within [-limit, limit] before it.
template <class T>
struct ChosenActivation {
  Activation kind;
  bool clipped;
  T limit, alpha, beta;
};

// What a cell may leave open until the program runs.
template <class T>
struct CellOptions {
  ChosenActivation<T> input;  // of the cell's input (LSTM: g, GRU: n, RNN: h)
  ChosenActivation<T> output; // of c before it goes out
  ChosenActivation<T> gate;
  T clip;                     // limit of |c|
  const T* peephole;          // [block][i, f, o][lane]; or nullptr
};

// Which of a unit's slots a product fills.
struct Slots {
  int first, count;
};
inline constexpr int max_slots = 4;

}  // namespace gru_native
