/// \file
/// What a decoder with attention writes by itself: beam search for a batch, and token by token.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "gru_native/attention_decoder.h"
#include "gru_native/decoding.h"

namespace gru_native {

/// What a decoder may write. ids: the tokens between `start` and `end`. score: log-probability, `end` included, by
/// length_penalty.
template <class T>
struct Generated : Hypothesis {
  /// Of each memory [ids.size()][its seq_len]: the attention weights of the steps that gave the tokens. Empty: not
  /// wanted.
  std::vector<std::vector<T>> attention;
};

/// One call of generate.
template <class T>
struct GenerationCall {
  std::int64_t batch = 0;  ///< Sequences, at least 1.
  std::vector<DecoderMemory<const T>> memory;  ///< num_memories of them.
  DecoderState<const T> initial;
  std::int64_t start = 0;      ///< The token that the first step is fed.
  std::int64_t end = 0;        ///< The token after which a hypothesis is complete.
  std::int64_t max_steps = 0;  ///< At most so many tokens, `end` included. What has none by then is complete, too.
  std::int64_t beam_size = 1;  ///< 1: the best token of every step, of equals the first.
  double length_penalty = 0;   ///< score = log-probability / (tokens, `end` included) ^ length_penalty.
  bool attention = false;      ///< Whether Generated::attention is wanted.
};

/// Beam search. At each step the `beam_size` best of all hypotheses with a token more are taken; those that end with
/// `end` are complete, the others go on, until none of them, were it complete a token later without loss, would be
/// better than the beam_size best complete ones. Returns up to beam_size hypotheses for each sequence, the best first.
/// Of equals the one comes first that was complete first; then the one whose beginning was better, then the better
/// token, the smaller token.
///
/// Throws std::invalid_argument, naming the field, also for logits that have no softmax; and std::bad_alloc.
template <class T>
GRU_NATIVE_API std::vector<std::vector<Generated<T>>> generate(const AttentionDecoder<T>& decoder,
                                                               const GenerationCall<T>& call);

/// A decoder at work token by token: the caller chooses what each step is fed. The memory is looked through once, when
/// the stream is made. It holds on to the weights of that moment, and belongs to one thread at a time. Copies share the
/// weights, and go on from where it is, on their own. After a move it may only be assigned to or destroyed.
template <class T>
class GRU_NATIVE_API DecoderStream {
 public:
  /// \param decoder What runs.
  /// \param memory num_memories of them, which are not needed later.
  /// \param batch Sequences side by side.
  /// \param initial See DecoderForwardCall.
  /// \throws std::invalid_argument for what is wrong, by its name; std::bad_alloc.
  explicit DecoderStream(const AttentionDecoder<T>& decoder, const std::vector<DecoderMemory<const T>>& memory,
                         std::int64_t batch = 1, const DecoderState<const T>& initial = {});
  DecoderStream(const DecoderStream& other);
  DecoderStream& operator=(const DecoderStream& other);
  ~DecoderStream();
  DecoderStream(DecoderStream&& other) noexcept;
  DecoderStream& operator=(DecoderStream&& other) noexcept;

  std::int64_t batch() const noexcept;  ///< Sequences side by side.
  /// Feeds each sequence a token and writes the logits of the next one: [batch] and [batch][vocab_size], with the bits
  /// of AttentionDecoder::forward. Allocates nothing. Throws std::invalid_argument for null pointers
  /// and tokens outside the vocabulary; the state is then unchanged, as where it is interrupted.
  void step(const std::int64_t* tokens, T* logits);
  /// Where a sequence looked in the last step: the attention weights, [seq_len of that memory]. Throws
  /// std::invalid_argument before the first step and for a decoder without attention.
  std::vector<T> weights(std::int64_t sequence = 0, std::int64_t memory = 0) const;

  /// Copies the state after the last step. Null, or left out: not wanted.
  void save_state(const DecoderState<T>& to) const;
  /// Goes on from a state, whose arrays are copied; see DecoderForwardCall. Without one it goes back to zeros. Both
  /// throw std::invalid_argument for what this decoder's state does not have.
  void load_state(const DecoderState<const T>& from = {});

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  explicit DecoderStream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
