// Attention to one memory, backward: the way back of attention.h, and the sums over all steps at its end.
#pragma once
#include "engine/decoder/attention.h"
#include "engine/sequence/timeline.h"

namespace gru_native {

// Where the gradients of one attention's weights go; null: not wanted.
template <class T>
struct AttentionGradients {
  T *query = nullptr, *memory = nullptr, *bias = nullptr, *score = nullptr, *location = nullptr, *filter = nullptr;
};

template <class T>
class AttentionBackward {
 public:
  // Row i of the batch looks at its own sequence of the memory, memory_of[i]. All must outlive this.
  AttentionBackward(const AttentionDecoderSpec& spec, const PackedAttention<T>& w, const AttentionPanels<T>& transposed,
                    const EncodedMemory<T>& memory, const Index* memory_of, const Timeline& time,
                    const AttentionLines<T>& lines, int members, Arena& arena);

  // By every member, who then waits for the others.
  void prepare(int member, int members);
  // Gradients of the weights of the last step, as load() of AttentionForward; null: zeros. After the steps those of the
  // initial ones.
  void load(Index row, const T* from);
  void store(Index row, T* to) const;

  // Where the gradient of a row's context at step t is to be put, before the step.
  T* dcontext(Index row, Index t) const { return dcontext_.at(row, t); }
  // Steps seq_len - 1 .. 0, for a share of the rows: adds to ds, the gradients of the states, compact.
  void step(Matrix<T> ds, Share rows, Index t, int member);

  // After the steps, for a share of the rows: the gradient of their sequences, dh().
  void through_time(Share rows);
  Matrix<const T> dh() const { return {dh_.base, dh_.stride}; }
  // After that, behind a barrier, for a share of the weights. s: the states, compact.
  void weight_gradients(Rows<const T> s, const AttentionGradients<T>& g, T* scratch, int member, int members) const;
  Index gradient_scratch(int members) const;
  double macs_of_row() const;

 private:
  struct Room {
    T* d;  // of the weights
    Matrix<T> keys, f, dp, df, windows;  // location
  };
  bool by_products() const { return memory_.across.base != nullptr; }
  bool location() const { return w_.filter.panels > 0; }
  void scores_back(Index row, Index t, int member);
  void location_back(Index row, Index t, const Room& room);
  void sum_over_rows(Matrix<T> of_rows, Index lines, Index columns, T* to, int member, int members) const;

  const AttentionDecoderSpec& spec_;
  const PackedAttention<T>& w_;
  const AttentionPanels<T>& transposed_;
  const EncodedMemory<T>& memory_;
  const Index* const memory_of_;
  const Timeline& time_;
  const AttentionLines<T>& lines_;
  RowLines<T> dcontext_, de_;  // [row][step]
  Matrix<T> dquery_{};         // compact
  Matrix<T> dweights_{};       // [row]: of the weights of a step, from the step after; margins as they have
  Matrix<T> dkeys_{}, dh_{};   // [position]
  Matrix<T> h_across_{};
  Matrix<T> dv_{}, dlocation_{}, dfilter_{};  // of each row: one line, score_size lines, location_channels lines
  std::vector<Room> rooms_;
  const T* zeros_;
};

}  // namespace gru_native
