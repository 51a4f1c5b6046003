// The time loop of a decoder: layers, then attention, step after step. Teacher forcing runs it over all steps at once,
// generation (steps.h) over one step at a time.
#pragma once
#include <deque>

#include "engine/decoder/attention.h"
#include "engine/sequence/direction_forward.h"
#include "engine/sequence/dropout.h"

namespace gru_native {

// What forward makes, and backward reads. Compact rows (engine/sequence/timeline.h).
template <class T>
struct DecoderValues {
  std::vector<LayerTape<T>> layers;  // x: inputs, of the first layer [emb; context before]
  Matrix<T> z{};                     // [s; context; emb]
  Matrix<T> a{};                     // pre-activations of a maxout readout
  Matrix<T> r{};                     // the readout
  std::vector<AttentionLines<T>> attentions;
};

template <class T>
class DecoderForward {
 public:
  // keep: for backward. longest: steps of one run. All must outlive this; memory_of: of each row of the batch.
  DecoderForward(const AttentionDecoderSpec& spec, const LayerSpec& layers, const PackedDecoder<T>& weights,
                 const std::vector<EncodedMemory<T>>& memories, const Index* memory_of, const Timeline& time,
                 Index longest, bool keep, Dropout dropout, int members, Arena& arena);

  // States of the user's rows; the batch's are sorted (engine/sequence/timeline.h). store() comes after advance().
  void load(const DecoderState<const T>& state);
  void store(const DecoderState<T>& state) const;

  // Called by every member: what the first layer reads; all steps; then, behind a barrier, the readout and the logits
  // of a share of the rows, which go where the user has them.
  void embed(const Sequences<const std::int64_t>& tokens, int member, int members);
  void run(int member, Crew& crew);
  void read_out(Rows<T> logits, int member, Crew& crew);
  void advance(Index steps);  // after a run, by one member: the next one goes on from there

  // For rows that change places: memory for this. Before load().
  void reserve_choice(Arena& arena);
  // After a run and advance(), before the next run: row i of as many as there are from now on is what row parents[i] of
  // the rows before was. What is long moves in that run, until whose end `parents` must live.
  void choose(const Index* parents);

  const T* weights(std::size_t memory, Index row, Index t) const { return attentions_[memory].weights(row, t); }
  const DecoderValues<T>& values() const { return v_; }

 private:
  // Whether a step waits for the attention of the step before.
  bool feeds() const { return spec_.input_feeding && spec_.attention != Attention::none; }
  void use_moving(bool chosen);
  void move(Share rows);
  void layers(Index begin, Index end, int member, Crew& crew);
  void attend(Index t, Share rows, int member);
  void make_logits(Rows<T> logits, Share rows, Share panels);
  void put_context(Index m, Index t, Index row, const T* context);

  const AttentionDecoderSpec& spec_;
  const LayerSpec& layer_spec_;
  const PackedDecoder<T>& w_;
  const std::vector<EncodedMemory<T>>& memories_;
  const Index* const memory_of_;
  const Timeline& time_;
  const Dropout dropout_;
  DecoderValues<T> v_;
  std::deque<DirectionForward<T>> directions_;
  std::deque<AttentionForward<T>> attentions_;
  Matrix<T> context_{};  // [row]: of the last step that it had

  // States of a layer whose rows may change places: h is read where it lies, c is copied.
  struct Moving {
    Matrix<T> h[2], c[2];  // those of the last run come first
    Index* offset;         // of the h that each row goes on from
  };
  std::vector<Moving> moving_;
  const Index* parents_ = nullptr;  // of the next run's rows; null: they are the same
  Matrix<T> last_logits_{};  // [row]: what does not fill a panel
  double macs_of_step_row_;
};

}  // namespace gru_native
