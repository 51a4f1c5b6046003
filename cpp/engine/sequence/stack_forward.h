// Layers over directions, forward: which of them runs when, and on which threads.
#pragma once
#include "engine/sequence/direction_forward.h"
#include "engine/sequence/dropout.h"

namespace gru_native {

template <class T>
class StackForward {
 public:
  // `longest`: the most steps of one run. tape: [num_layers], or nullptr for inference. All must outlive this.
  StackForward(const LayerSpec& spec, const PackedWeights<T>& weights, const Timeline& time, Index longest,
               std::vector<LayerTape<T>>* tape, Dropout dropout, Draw draw, Arena& arena);

  void load_state(const States<const T>& s);
  void store_state(const States<T>& s) const;
  const LayerSpec& spec() const { return spec_; }
  InArena<DirectionForward<T>>& directions() { return directions_; }  // [layer * directions + direction]
  // x: by compact row.
  void run(Rows<const T> x, StepRows<T> y, TeamLease& team);
  // The same of one row on this thread, which flushes denormals, forward in time (DirectionForward::run_row).
  bool plans_rows() const;
  void run_row(const T* x, Index x_step, T* y, Index y_step, Index steps) {
    if (directions_.size() > 1 || steps > window_) return run_row_of_layers(x, x_step, y, y_step, steps);
    directions_[0].run_row(0, x, x_step, y, y_step, steps);
    directions_[0].advance(steps);
  }

 private:
  void layer(Index layer, const typename DirectionForward<T>::Io& io, Index begin, Index end, int rank, Crews& crews);

  void run_row_of_layers(const T* x, Index x_step, T* y, Index y_step, Index steps);

  const LayerSpec& spec_;
  const Timeline& time_;
  Dropout dropout_;
  InArena<DirectionForward<T>> directions_;  // [layer * directions + direction]
  bool windows_;                                // whether the steps are cut into windows at all
  Index window_;                                // steps that pass through all layers before the next ones do
  std::vector<Matrix<T>> between_;              // [layer]: its output for the layer above
};

}  // namespace gru_native
