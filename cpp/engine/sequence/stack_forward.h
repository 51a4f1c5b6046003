// Layers over directions, forward: which of them runs when, and on which threads.
#pragma once
#include <deque>

#include "engine/sequence/direction_forward.h"

namespace gru_native {

template <class T>
struct LayerTape {
  Matrix<T> x{};               // the layer's input, compact, after dropout
  DirectionTape<T> direction[2];
};

// Inter-layer dropout: zero with probability p, else 1 / (1 - p).
class DropoutMask {
 public:
  DropoutMask(double p, std::uint64_t seed);
  // Multiplies compact rows [begin, end) of what layer + 1 reads (or of its gradient).
  template <class T>
  void apply(Matrix<T> m, Index columns, const Timeline& time, Index layer, Index begin, Index end) const;
  bool active() const { return p_ > 0; }

 private:
  double p_;
  std::uint64_t seed_;
};

// Threads worth using, by the multiply-adds of one step: a hand-over between cores must cost less than it saves.
int useful_threads(const LayerSpec& spec, Index rows, Index steps);

// Compact row -> the user's row, for inputs that lie as the user has them.
template <class T>
Rows<T> user_rows(const Sequences<T>& s, const Timeline& time, Arena& arena);
// Sorted row -> offset of the user's row within a step; nullptr if they lie evenly. Masked: compact row -> offset.
const Index* row_offsets(Index step_stride, Index batch_stride, const Timeline& time, Arena& arena);

template <class T>
class StackForward {
 public:
  // `longest`: the most steps of one run. tape: [num_layers], or nullptr for inference. All must outlive this.
  StackForward(const LayerSpec& spec, const PackedWeights<T>& weights, const Timeline& time, Index longest,
               std::vector<LayerTape<T>>* tape, DropoutMask dropout, Draw draw, Arena& arena);

  void load_state(const States<const T>& s);
  void store_state(const States<T>& s) const;
  void run(Rows<const T> x, const Sequences<T>& y, const Index* y_offset, TeamLease& team);

 private:
  void layer(Index layer, typename DirectionForward<T>::Io io, Index begin, Index end, int rank, Crew& all,
             Crew* halves);

  const LayerSpec& spec_;
  const Timeline& time_;
  std::vector<LayerTape<T>>* tape_;
  DropoutMask dropout_;
  std::deque<DirectionForward<T>> directions_;  // [layer * directions + direction]
  bool windows_;                                // whether the steps are cut into windows at all
  Index window_;                                // steps that pass through all layers before the next ones do
  std::vector<Matrix<T>> between_;              // [layer]: its output for the layer above
};

}  // namespace gru_native
