// The time loop forward: one direction of one layer over a batch.
#pragma once
#include <optional>

#include "engine/sequence/norm.h"
#include "engine/sequence/state_rows.h"
#include "engine/sequence/step_rows.h"
#include "engine/sequence/tape.h"
#include "engine/sequence/zoneout.h"

namespace gru_native {

template <class T>
class DirectionForward {
 public:
  struct Io {
    Rows<const T> x;           // inputs: compact rows, from row x_first on
    Index x_first;
    StepRows<T> y;             // where outputs go, if anywhere
  };

  // Zero state. `longest`: the most steps that one run() will be given; tape: or nullptr.
  DirectionForward(const LayerSpec& spec, const PackedWeights<T>& weights, const PackedDirection<T>& direction,
                   const Timeline& time, bool reverse, Index longest, DirectionTape<T>* tape, Arena& arena,
                   const DirectionZoneout& zoneout = {});

  // States of the user's rows, contiguous; null: zeros, or not wanted.
  void load_state(const T* h, const T* c);
  void store_state(T* h, T* c) const;

  // From here on the states of the batch's rows are those, whose buffers have rows as wide as state_width() says.
  void use_states(const StateRows<T>& states) {
    states_ = states, phase_ = 0, zero_state_ = false;
    if (plans_rows()) plan_states();
  }
  StateWidth state_width() const { return {states_.h[0].stride, states_.c.stride}; }
  // One row of such buffers, from and to the user's; null: zeros, or not wanted.
  void load_row(T* h, T* c, const T* from_h, const T* from_c) const;
  void store_row(const T* h, const T* c, T* to_h, T* to_c) const;

  // Steps [begin, end) of time->seq_len, called by every member of the crew.
  void run(const Io& io, Index begin, Index end, int member, Crew& crew);
  // After the last run of a call, by one member: the next call goes on from here.
  void advance(Index steps) { phase_ += steps, zero_state_ = false; }

  Index chunk_steps() const { return chunk_steps_; }

  // A batch of one row on one thread, forward in time: whether all that its steps need can be found beforehand, and
  // steps from `step` on of a call, whose x and y lie so far apart; y: or nullptr.
  bool plans_rows() const { return row_.recurrent != nullptr; }
  void run_row(Index step, const T* x, Index x_step, T* y, Index y_step, Index steps) {
    if (steps > row_steps_at_once_) return run_row_in_parts(step, x, x_step, y, y_step, steps);
    row_.steps = steps;
    row_.x = x, row_.x_step = x_step;
    row_.y = y, row_.y_step = y_step;
    row_.turn = static_cast<int>((phase_ + step) & 1);
    row_.zero_state = step == 0 && zero_state_ && weights_.finite;
    row_steps_(row_);
  }

  // For one call, before its run: weights that every step would make floats are made so once, if that is worth it.
  void widen_once(Arena& arena);

 private:
  // What a member does of every step: blocks of units and the units in them; of a projected h, blocks of outputs; and
  // rows.
  struct Part {
    Share blocks, units, output_blocks, rows;
    int member;
    Crew* all = nullptr;       // who share out the rows of the input products, whatever they share out of the steps
    Share rest{0, 0};          // blocks of which every member has some rows
  };
  Part part_of(int member, int members) const;
  bool whole_batch(const Part& p) const { return p.rows.begin == 0 && p.rows.end == time_.batch; }
  void plan_rows();
  void plan_states();
  void run_row_in_parts(Index step, const T* x, Index x_step, T* y, Index y_step, Index steps);
  bool run_as_row(const Io& io, Index begin, Index end);
  void widen(const Part& mine) const;
  // One step of a member's rows, which are alive: its time, the first row of the batch, in compact buffers and in
  // gates_, and where h goes.
  struct Now {
    Index step, t, first, row, gates_row, rows;
    Rows<T> h_prev, h, y;
  };

  // scratch: a member's room for the activations of quantized products (kernels/table.h); null: there are none.
  void run_part(const Io& io, Index begin, Index end, const Part& mine, Crew& crew);
  void run_quantized(const Io& io, Index begin, Index end, const Part& mine, Crew& crew);
  void run_chunks(const Io& io, Index begin, Index end, const Part& mine, Crew& crew, void* scratch);
  void steps(const Io& io, Index begin, Index end, const Part& mine, Crew& crew, void* scratch);
  void input_products(const Io& io, Index early, Index steps, const Part& mine, Crew& crew);
  bool is_uneven(int members) const;
  void leave_rest(Part& mine, int members) const;
  Step<T> rest_of(const Step<T>& s, const Part& mine, int members) const;
  void input_product(Rows<const T> x, Index rows, Rows<T> gates, Share blocks) const;
  void dense_input_product(Rows<const T> x, Index rows, Rows<T> gates) const;
  void place(Step<T>& s, const Now& now) const;
  void recurrent_products(Step<T>& s, const Now& now) const;
  void exchange_early(const Step<T>& s, const Part& mine) const;
  void keep_c(Index rows, Share units) const;
  void candidate(const Step<T>& s, Share blocks) const;
  void projection(const Step<T>& s, const Rows<T>& h, Share output_blocks) const;
  void hand_out(const Now& now, Share columns) const;

  const LayerSpec& spec_;
  const Kernels<T>& kernels_;
  const CellKernels<T>& cell_;
  const PackedDirection<T>& weights_;
  const Timeline& time_;
  const bool reverse_;
  DirectionTape<T>* const tape_;
  Index lanes_, blocks_, granule_, state_, outputs_;  // state_: columns of h that recur
  Index gates_at_;             // gate recurrence: where i f o begin in a row of h
  bool projects_, has_candidate_;
  bool wide_ = false;          // the weights of the products are floats made from those of few bits
  Product<T> input_, second_{};  // as the steps use them, but for rows and shares
  Step<T> step_{};             // likewise
  RowSteps<T> row_{};          // likewise, of a row by itself; without weights if its steps take more than these
  void (*row_steps_)(const RowSteps<T>&) = nullptr;
  Index row_steps_at_once_ = 0;  // which nobody would want to interrupt
  std::optional<NormForward<T>> norm_;
  Index chunk_steps_;          // steps whose input product is done at once
  Matrix<T> gates_;            // of one chunk, or the tape's
  StateRows<T> states_{};
  Matrix<T> u_{};
  const DirectionZoneout zoneout_;
  Matrix<T> c_before_{};       // zoneout of c
  bool cell_hands_out_;        // what it makes of h is h, so it may write y as well
  const T* zeros_;
  bool zero_state_ = true;     // before the next step 0
  Index phase_ = 0;            // steps done in earlier calls: which h is current
  Index* places_ = nullptr;    // where rows of x and of gates_ lie that are not side by side; null: none are
};

}  // namespace gru_native
