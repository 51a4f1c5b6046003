// Layers over directions, backward: the mirror of stack_forward.h, from the last layer to the first.
#pragma once
#include <vector>

#include "engine/sequence/direction_backward.h"
#include "engine/sequence/dropout.h"

namespace gru_native {

template <class T>
class StackBackward {
 public:
  // tape, dropout, draw: of the forward call. All must outlive this.
  StackBackward(const LayerSpec& spec, const PackedWeights<T>& weights, const Timeline& time,
                const std::vector<LayerTape<T>>& tape, Dropout dropout, Draw draw, Arena& arena);

  // What is asked for. gradients: [layer * directions + direction]; empty: none.
  struct Wanted {
    bool dx = false;
    std::vector<DirectionGradients<T>> weights;
    States<T> initial{};
  };
  void run(StepRows<const T> dy, const States<const T>& dfinal, const Wanted& wanted, TeamLease& team);

  // After run(): the gradient of the inputs, compact.
  Matrix<const T> dx() const { return {dx_[0].base, dx_[0].stride}; }

 private:
  void through_time(Index layer, StepRows<const T> dy, const States<const T>& dfinal, const States<T>& dinitial,
                    int rank, Crews& crews);
  void through_products(Index layer, const Wanted& wanted, T* scratch, int rank, int members);
  Index input_size(Index layer) const;
  Matrix<T> dx_of(Index layer) const { return dx_[layer % 2]; }

  const LayerSpec& spec_;
  const Timeline& time_;
  const std::vector<LayerTape<T>>& tape_;
  const Dropout dropout_;
  InArena<DirectionBackward<T>> directions_;  // [layer * directions + direction]
  Matrix<T> dx_[2]{};                            // gradients of the inputs of even and of odd layers
  Arena& arena_;
};

}  // namespace gru_native
