// Which words a training step looks at.
#pragma once
#include "losses/vocabulary/large_softmax.h"

namespace gru_native {

template <class T>
struct Plan {
  std::vector<Index> targets;    // of the rows that count
  std::vector<Index> order;      // of the weight's rows in the tape's words
  std::vector<T> correction;     // of each: what its score is less than w.x + b, if anything
  std::vector<double> times;     // of noise: how often each word was drawn
};

// Fills in rows, place, groups, grouped, pairs and head of a tape whose rows that count are known, but for the memory
// of their scores.
template <class T>
Plan<T> plan_of(const ImplOf<LargeSoftmax<T>>& layer, const LargeSoftmaxCall<T>& call,
                ImplOf<LargeSoftmaxTape<T>>& tape);

}  // namespace gru_native
