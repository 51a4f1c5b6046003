// The time loop backward (BPTT): one direction of one layer.
#pragma once
#include <optional>

#include "engine/sequence/norm.h"
#include "engine/sequence/step_rows.h"
#include "engine/sequence/tape.h"
#include "engine/sequence/zoneout.h"

namespace gru_native {

// Where the gradients of one direction's weights go, [rows][columns] as the user has them; null: not wanted.
template <class T>
struct DirectionGradients {
  T *ih = nullptr, *hh = nullptr, *bias_ih = nullptr, *bias_hh = nullptr, *hr = nullptr, *hp = nullptr;
  T* peephole[3] = {};         // of i, f, o
  T* rr = nullptr;
  NormGradients<T> norm{};
};

template <class T>
class DirectionBackward {
 public:
  struct Io {
    StepRows<const T> dy;      // gradients of outputs, if there are any
    const T *dh_final, *dc_final;  // the user's, or nullptr
    T *dh_initial, *dc_initial;
  };

  // index: layer * directions + direction.
  DirectionBackward(const LayerSpec& spec, const PackedWeights<T>& weights, Index index, const Timeline& time,
                    bool reverse, const DirectionTape<T>& tape, Arena& arena, const DirectionZoneout& zoneout = {});

  // Gradients of the pre-activations at all steps, and of the initial state. May be done again, with other gradients.
  void run(const Io& io, int member, Crew& crew);

  // The parts of run(), for whoever does something between the steps: begin() by one member, steps seq_len - 1 .. 0,
  // end() by one member, barriers in between. Behind its step dx = dgates W_ih can be had of a time's rows: for compact
  // rows and blocks of columns, which begin with a panel of input_granule blocks.
  void begin(const Io& io);
  void step(const Io& io, Index t, int member, Crew& crew);
  void end(const Io& io);
  static constexpr Index input_granule = 4;
  Index input_blocks() const { return weights_.input.panels * weights_.input.blocks_in_panel(); }
  void input_gradient(Matrix<T> dx, Share rows, Share blocks) const;

  // Instead of run(), for layers whose inputs are made of earlier states: steps seq_len - 1 .. 0 of the forward
  // direction, each with dx = dgates W_ih for its rows, whose share of dh(t-1) is added through the next step's dy.
  // What is left in dh() belongs to the initial state. The caller puts a barrier behind each step.
  void step_back(const Io& io, Index t, Matrix<T> dx, int member, Crew& crew);
  Matrix<const T> dh() const { return {dh_.base, dh_.stride}; }

  // After run(), on any member, in any order. dx (+)= dgates W_ih, for a share of the compact rows.
  void input_gradient(Matrix<T> dx, bool add, int member, int members) const;
  // Sums over all rows, for a share of the weights. x: the layer's input, compact, `columns` wide. scratch:
  // gradient_scratch() elements for each member.
  void weight_gradients(Matrix<T> x, Index columns, const DirectionGradients<T>& g, T* scratch, int member,
                        int members) const;
  Index gradient_scratch(Index columns, int members) const;

 private:
  // Gradients of W x and of U h-, where they are not those of the pre-activations.
  Matrix<T> dproduct_x() const { return norm_ ? norm_->dx() : dgates_x_; }
  Matrix<T> dproduct_h() const { return norm_ ? norm_->dh() : dgates_h_; }
  // What a member does of every step: blocks of units and the units in them; blocks of what recurs of h; and rows.
  struct Part {
    Share blocks, units, state_blocks, rows;
    int member;
    Share rest{}, rest_rows{};  // blocks that are shared out by rows
  };
  Part part_of(int member, int members) const;
  void leave_rest(Part& mine, int members) const;
  double macs_of_row(Share blocks) const;  // of the cell
  void copy_states(const T* dh, const T* dc, T* dh_to, T* dc_to) const;
  void steps(const Io& io, const Part& mine, Crew& crew);
  void step(const Io& io, Index t, const Part& mine, Crew& crew);
  BackStep<T> place(const Io& io, Index t, Share blocks) const;
  void projection(BackStep<T>& b, Index t, const Part& mine, Crew& crew) const;
  void candidate(BackStep<T>& b, Index t, const Part& mine) const;
  void recurrent_products(const BackStep<T>& b, Index t, const Part& mine, Crew& crew) const;
  void input_gradient_of(Index first, Index count, Matrix<T> dx, bool add, int member, int members) const;
  void zone(BackStep<T>& b, Share units, Index t) const;
  void add_kept(Index rows, Share units) const;
  void transposed_product(const PackedMatrix<T>& w, Matrix<T> a, Matrix<T> acc, bool add, Index rows, Share blocks,
                          Index turn) const;  // turns alternate the order of panels
  void gate_gradients(Matrix<T> d, Slots slots, Matrix<T> x, Index columns, T* dw, T* db, T* scratch, int member,
                      int members) const;

  const LayerSpec& spec_;
  const Kernels<T>& kernels_;
  const CellKernels<T>& cell_;
  const TransposedDirection<T>& weights_;
  const Timeline& time_;
  const bool reverse_;
  const DirectionTape<T>& tape_;
  const CellOptions<T> options_;
  Index lanes_, blocks_, state_, outputs_;  // state_: columns of h that recur
  bool projects_, has_candidate_, zones_;
  Matrix<T> dgates_x_, dgates_h_, dgates_u_;  // compact
  Matrix<T> dr_{};             // projection: gradient of its output, compact
  Matrix<T> dh_, dc_{};        // of the state, going back in time
  const DirectionZoneout zoneout_;
  Matrix<T> kept_h_{}, kept_c_{};  // zoneout: what goes back past the cell
  Matrix<T> q_{};              // gradient of what the second product reads
  Matrix<T> dgates_r_{};       // gate recurrence: as dgates_h_, of i f o alone
  Matrix<T> dgates_next_{};    // likewise: of i f o from the step after, as the user has them
  std::optional<NormBackward<T>> norm_;
  T* dpeephole_ = nullptr;     // sums over all rows, [block][i, f, o][lane]
  const T* zeros_;
};

}  // namespace gru_native
