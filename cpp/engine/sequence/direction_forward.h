// The time loop forward: one direction of one layer over a batch.
#pragma once
#include <optional>

#include "engine/sequence/norm.h"
#include "engine/sequence/tape.h"
#include "engine/sequence/zoneout.h"

namespace gru_native {

template <class T>
class DirectionForward {
 public:
  // Where inputs come from and outputs go. A window is a buffer that holds only the steps of the current run().
  struct Io {
    Rows<const T> x;           // compact row -> input
    bool x_window;
    T* y;                      // or nullptr
    bool y_compact, y_window;  // compact: row at y + row * y_batch
    Index y_step, y_batch;     // else time t, row b: y + t * y_step + (y_offset ? y_offset[b] : b * y_batch);
                               // masked: y + y_offset[row], by compact row
    const Index* y_offset;
  };

  // Zero state. `longest`: the most steps that one run() will be given; tape: or nullptr.
  DirectionForward(const LayerSpec& spec, const PackedWeights<T>& weights, const PackedDirection<T>& direction,
                   const Timeline& time, bool reverse, Index longest, DirectionTape<T>* tape, Arena& arena,
                   const DirectionZoneout& zoneout = {});

  // States of the user's rows, contiguous; null: zeros, or not wanted.
  void load_state(const T* h, const T* c);
  void store_state(T* h, T* c) const;

  // Steps [begin, end) of time->seq_len, called by every member of the crew.
  void run(const Io& io, Index begin, Index end, int member, Crew& crew);
  // After the last run of a call, by one member: the next call goes on from here.
  void advance(Index steps) { phase_ += steps, zero_state_ = false; }

  Index chunk_steps() const { return chunk_steps_; }

 private:
  void steps(const Io& io, Index window, Index begin, Index end, int member, Crew& crew);
  void input_product(Rows<const T> x, Index rows, Matrix<T> gates, Share blocks) const;
  void exchange_early(Matrix<T> read, Matrix<T> write, Index rows, Share mine, Share mine_out) const;
  void project(Index rows, Matrix<const T> m, Matrix<T> h, Share blocks) const;
  void finish(Matrix<T> h_prev, Matrix<T> h, Rows<T> y, Index t, Share columns) const;

  const LayerSpec& spec_;
  const Kernels<T>& kernels_;
  const CellKernels<T>& cell_;
  const PackedDirection<T>& weights_;
  const Timeline& time_;
  const bool reverse_;
  DirectionTape<T>* const tape_;
  Index lanes_, blocks_, granule_, state_, outputs_;  // state_: columns of h that recur
  Index gates_at_;             // gate recurrence: where i f o begin in a row of h_
  bool projects_;
  Product<T> input_, second_{};  // as the steps use them, but for rows and shares
  Step<T> step_{};             // likewise
  std::optional<NormForward<T>> norm_;
  Index chunk_steps_;          // steps whose input product is done at once
  Matrix<T> gates_;            // of one chunk, or the tape's
  Matrix<T> h_[2];             // h(t-1) and h(t) in turn
  Matrix<T> c_{}, u_{};
  const DirectionZoneout zoneout_;
  Matrix<T> c_before_{};       // zoneout of c
  const T* zeros_;
  bool zero_state_ = true;     // before the next step 0
  Index phase_ = 0;            // steps done in earlier calls: which of h_ is current
};

}  // namespace gru_native
