// A decoder step by step, for generation: the time loop of forward.h over one step of some rows, whose states may
// change places in between, as those of a beam do.
#pragma once
#include "engine/decoder/forward.h"

namespace gru_native {

template <class T>
class DecoderSteps {
 public:
  // Up to `most` rows on teams of up to `members`. All must outlive this.
  DecoderSteps(const AttentionDecoderSpec& spec, const LayerSpec& layers, const PackedDecoder<T>& weights,
               const std::vector<EncodedMemory<T>>& memories, Index most, int members, Arena& arena);

  // `rows` rows from a state of theirs. memory_of: the sequence of the memories' batch that each row looks at.
  void start(Index rows, const Index* memory_of, const DecoderState<const T>& state);
  // One step: tokens[row] in; logits of each row out, vocab_size columns of the caller's.
  void step(const std::int64_t* tokens, Rows<T> logits, TeamLease& team);
  // After a step, before the next one: row i is from here on what row parents[i] was, which must live until the end of
  // that step. Asks for no memory.
  void choose(Index rows, const Index* parents);
  // Of each attention the weights of the last step may come along, whether the next step reads them or not.
  void store(const DecoderState<T>& state) const { forward_.store(state); }
  void load(const DecoderState<const T>& state) { forward_.load(state); }
  // The attention weights of the last step, [seq_len of that memory]; 0 past its length is not written.
  const T* weights(std::size_t memory, Index row) const { return forward_.weights(memory, row, -1); }
  Index rows() const { return time_.batch; }

  struct Store {  // a state
    std::vector<T> h, c, context;
    std::vector<std::vector<T>> weights;
    DecoderState<T> state;
    DecoderState<const T> read;  // the same
  };
  // weights: of each attention, or only those that the next step reads.
  Store make_store(Index most, bool weights) const;

 private:
  void set_rows(Index rows);

  const AttentionDecoderSpec& spec_;
  const LayerSpec& layers_;
  const std::vector<EncodedMemory<T>>& memories_;
  std::vector<Index> ones_, memory_of_, old_memory_of_;
  Timeline time_;
  DecoderForward<T> forward_;
  Store from_;
};

}  // namespace gru_native
