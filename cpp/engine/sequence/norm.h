// Layer normalisation within the time loops: of W x and U h-, each over all gates' units of a row, and of the LSTM's c
// on its way out. A row's statistics need the units of all members, so a step has a barrier between its product and its
// cell. Every member makes the statistics of every row for itself: that costs less than handing them over.
#pragma once
#include "engine/sequence/packed.h"
#include "engine/sequence/tape.h"
#include "engine/sequence/timeline.h"
#include "runtime/team.h"

namespace gru_native {

template <class T>
class NormForward {
 public:
  // rows: of the longest chunk. tape: or nullptr.
  NormForward(const LayerSpec& spec, const PackedDirection<T>& weights, const Timeline& time, Index blocks, Index rows,
              NormTape<T>* tape, Arena& arena);

  // W x, normalised, for rows [first, first + rows) of a chunk (with a tape: of all).
  void input(Rows<const T> x, Index first, Index rows, Share mine, int member, Crew& crew);
  // The pre-activations of a step, in place of its product, which is left empty. first: as above, of its rows.
  void gates(Step<T>& s, Index first, Share mine, int member, Crew& crew);
  // After the step, for a cell that does not make h itself.
  void output(const Step<T>& s, Index first, Share mine);

 private:
  const CellKernels<T>& cell_;
  const PackedDirection<T>& weights_;
  const Index hidden_, blocks_;
  NormTape<T> kept_;  // the tape's; else x of a chunk, and nothing
  const bool tapes_;
  Product<T> input_;
  Matrix<T> h_;  // U h-, not normalised, of one step
  const T* zeros_;
};

// Where the gradients of gains and of c's bias go, as the user has them; null: not wanted.
template <class T>
struct NormGradients {
  T *ih = nullptr, *hh = nullptr, *c = nullptr, *bias_c = nullptr;
};

template <class T>
class NormBackward {
 public:
  NormBackward(const LayerSpec& spec, const PackedDirection<T>& weights, const Timeline& time, Index blocks,
               const NormTape<T>& tape, Arena& arena);

  // Before a step's cell, of rows from `first` on: turns dh (and dy) into what the cell needs.
  void output(BackStep<T>& b, Index first, Share mine, int member, Crew& crew);
  // After it, and after a barrier: the gradients of W x and U h-.
  void products(const BackStep<T>& b, Index first, Share mine);
  Matrix<T> dx() const { return dx_; }  // compact
  Matrix<T> dh() const { return dh_; }

  void store(const NormGradients<T>& g) const;

 private:
  void backward(int count, Matrix<const T> d, Matrix<T> y, const T* scale, const Buffer<T>& gain, Matrix<T> da,
                T* dgain, T* dbias, Index first, Index rows, Share mine) const;

  const CellKernels<T>& cell_;
  const PackedDirection<T>& weights_;
  const Index hidden_, blocks_;
  const NormTape<T>& tape_;
  Matrix<T> dx_, dh_, dn_{}, dc_{};
  T *dgain_x_, *dgain_h_, *dgain_c_ = nullptr, *dbias_c_ = nullptr;  // sums over all rows
};

}  // namespace gru_native
