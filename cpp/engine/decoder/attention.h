// Attention to one memory: scores, weights and context of some rows at one step.
#pragma once
#include "engine/decoder/encoded_memory.h"

namespace gru_native {

// What steps leave behind: for each row of the batch `slots` lines, a step after the other.
template <class T>
struct RowLines {
  Matrix<T> m{};
  Index slots = 0;

  T* at(Index row, Index slot) const { return m.base + (row * slots + slot) * m.stride; }
  // Line `slot` of row 0, 1, ..
  Rows<T> across(Index slot) const { return {at(0, slot), slots * m.stride, nullptr}; }
  Matrix<T> of(Index row) const { return {at(row, 0), m.stride}; }
};

template <class T>
struct AttentionLines {
  RowLines<T> query;    // [row][step]: W s, or s
  RowLines<T> weights;  // [row][1 + step], before them those of the step before; zeros around them: see `margin`
  Index margin = 0;     // zeros before position 0: half of the filter
  T* weights_at(Index row, Index slot) const { return weights.at(row, slot) + margin; }
};

template <class T>
class AttentionForward {
 public:
  // keep: all steps, for backward; otherwise only the last two lines of weights. memory_of: of each row of the batch.
  AttentionForward(const AttentionDecoderSpec& spec, const PackedAttention<T>& w, const EncodedMemory<T>& memory,
                   const Index* memory_of, Index batch, Index steps, bool keep, int members, Arena& arena);

  // The weights of the step before the next one, [seq_len]; null: zeros.
  void load(Index row, const T* from);
  // Those of step t, or before the first one of step -1.
  void store(Index row, Index t, T* to) const;
  // From here on the weights of the step before are, in row i of `rows`, those of row parents[i].
  void choose(const Index* parents, Index rows);
  // Steps count from here on.
  void advance(Index steps) { phase_ += steps; }
  const T* weights(Index row, Index t) const { return lines_.weights_at(row, slot(t + 1)); }

  // Rows [begin, end) at step t, whose states are rows of s. put(row, context).
  template <class Put>
  void run(Rows<const T> s, Share rows, Index t, int member, const Put& put) const {
    if (rows.begin >= rows.end) return;
    queries(s, rows, t);
    for (Index row = rows.begin; row < rows.end; ++row) put(row, context(row, t, member));
  }
  double macs_of_row() const;

  const AttentionLines<T>& lines() const { return lines_; }

 private:
  // The scratch of a member.
  struct Room {
    Matrix<T> f, keys;  // location: convolved weights, and V f + U h + b
    T* context;
  };
  Index slot(Index line) const { return keep_ ? phase_ + line : (phase_ + line) % 2; }
  void queries(Rows<const T> s, Share rows, Index t) const;
  const T* context(Index row, Index t, int member) const;

  const AttentionDecoderSpec& spec_;
  const PackedAttention<T>& w_;
  const EncodedMemory<T>& memory_;
  const Index* const memory_of_;
  const bool keep_;
  AttentionLines<T> lines_;
  std::vector<Room> rooms_;
  const T* zeros_;
  Matrix<T> before_{};  // location, unless all steps are kept: [row], the weights of the step before while rows move
  Index phase_ = 0;
};

// The keys of a sequence as location attention has them at a step: with V f added, f = F * the weights before.
template <class T>
Matrix<T> location_keys(const PackedAttention<T>& w, const T* weights_before, Matrix<T> keys, Index positions,
                        const T* zeros, Matrix<T> f, Matrix<T> to);

}  // namespace gru_native
