/// \file
/// A decoder with attention: a recurrent network that writes a sequence of tokens while it looks at one memory or
/// several, the outputs of an encoder (Bahdanau, Cho and Bengio 2015; Luong, Pham and Manning 2015; Chan et al. 2016).
///
/// A step feeds the token before, y(t-1), and makes the logits of the next one:
///
///     s(t) = cell([emb(y(t-1)); context(t-1)], s(t-1))
///     e_j = score(s(t), h_j)      a = softmax(e) over the positions j of the memory      context(t) = sum of a_j h_j
///     readout(t) = tanh(W_r [s(t); context(t); emb(y(t-1))] + b_r)
///     logits(t) = W_o readout(t) + b_o
///
/// The calls here have all tokens at once (teacher forcing).
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gru_native/edit.h"
#include "gru_native/export.h"
#include "gru_native/layer.h"
#include "gru_native/views.h"

namespace gru_native {

/// How a memory is looked at.
enum class Attention {
  none,      ///< Not at all: a memory is one vector, which is the context of every step (Cho et al. 2014).
  additive,  ///< e_j = v . tanh(W s + U h_j + b)
  dot,       ///< e_j = s . h_j; memory_size is hidden_size.
  general,   ///< e_j = s . (W h_j)
  location   ///< e_j = v . tanh(W s + U h_j + V f_j + b), f = F * a(t-1), a convolution of the weights of the step
            ///< before (Chorowski et al. 2015), which begin as zeros.
};

/// What stands between the context and the logits.
enum class ReadoutFunction {
  tanh,   ///< tanh(W_r [s; context; emb] + b_r)
  maxout  ///< max(u_2i, u_2i+1), u = W_r [s; context; emb] + b_r, which has 2 readout_size numbers.
};

/// What a decoder computes.
struct AttentionDecoderSpec {
  std::int64_t vocab_size = 0;     ///< Tokens: 0 to vocab_size - 1.
  std::int64_t embedding_dim = 0;  ///< Numbers that stand for a token.
  std::int64_t hidden_size = 0;    ///< Units of each layer.
  std::int64_t memory_size = 0;    ///< Columns of each memory.
  Cell cell = Cell::lstm;          ///< lstm or gru (with reset after the product).
  std::int64_t num_layers = 1;
  Attention attention = Attention::additive;
  std::int64_t attention_size = 0;  ///< Units of additive and location scores; 0: hidden_size.
  std::int64_t num_memories = 1;    ///< Each has an attention of its own; their contexts stand side by side.
  bool input_feeding = true;        ///< Whether the cell sees the context of the step before, or the readout alone.
  std::int64_t readout_size = 0;    ///< 0: hidden_size.
  ReadoutFunction readout = ReadoutFunction::tanh;
  std::int64_t location_channels = 10;  ///< Of the convolution of location attention.
  std::int64_t location_width = 31;     ///< Its positions, an odd number.
  double dropout = 0;                   ///< Probability, between layers, in training only.

  /// Throws std::invalid_argument, naming the field, unless such a decoder can be made.
  GRU_NATIVE_API void validate() const;

  /// Columns of all contexts together.
  std::int64_t context_size() const { return num_memories * memory_size; }
  /// Units of a score.
  std::int64_t score_size() const { return attention_size ? attention_size : hidden_size; }
  /// Columns of the readout.
  std::int64_t readout_columns() const { return readout_size ? readout_size : hidden_size; }
};

/// One memory of a batch, or its gradient. attention = none: a single step.
template <class T>
struct DecoderMemory {
  std::int64_t seq_len = 0;               ///< Positions, at least 1.
  Sequences<T> h;                         ///< memory_size columns.
  const std::int64_t* lengths = nullptr;  ///< [batch], each 1 to seq_len; null: all seq_len. What lies past them is not
                                          ///< read.
};

/// The state of a decoder, or its gradient. Null, or left out: zeros on the way in, not wanted on the way out.
template <class T>
struct DecoderState {
  States<T> layers;  ///< Of the layers, [num_layers][batch][hidden_size] each.
  T* context = nullptr;  ///< [batch][context_size()]: of the step before. Not with attention = none.
  std::vector<T*> weights;  ///< Location attention: for each memory [batch][its seq_len], those of the step before.
};

/// One call with teacher forcing.
template <class T>
struct DecoderForwardCall {
  std::int64_t seq_len = 0;  ///< Steps, at least 1.
  std::int64_t batch = 0;  ///< Sequences, at least 1.
  Sequences<const std::int64_t> targets;  ///< One column: the token that each step is fed.
  const std::int64_t* lengths = nullptr;  ///< [batch], each 0 to seq_len; null: all seq_len.
  std::vector<DecoderMemory<const T>> memory;  ///< num_memories of them.
  DecoderState<const T> initial;
  Sequences<T> logits;  ///< vocab_size columns, written; 0 past the end of a sequence. Null: not wanted.
  DecoderState<T> final;  ///< After the last step of each sequence, written.
  bool training = false;  ///< Whether dropout acts.
  std::uint64_t seed = 0;  ///< Chooses what dropout drops.
};

/// The gradients of a loss. Null: on the way in zeros, on the way out not wanted. Shapes are those of the forward call.
template <class T>
struct DecoderBackwardCall {
  Sequences<const T> dlogits;  ///< Of the logits. Past the end of a sequence it is not read.
  DecoderState<const T> dfinal;  ///< Of the final state.
  std::vector<Sequences<T>> dmemory;  ///< Of each memory, written; 0 past its end. Empty: of none.
  DecoderState<T> dinitial;  ///< Of the initial state, written.
  std::vector<T*> dweights;  ///< Of each of weights(), written (not added to). Empty: of none.
};

/// What one forward call keeps for backward; see Tape.
template <class T>
class GRU_NATIVE_API AttentionDecoderTape {
 public:
  ~AttentionDecoderTape();
  AttentionDecoderTape(AttentionDecoderTape&& other) noexcept;
  AttentionDecoderTape& operator=(AttentionDecoderTape&& other) noexcept;

  std::int64_t seq_len() const;  ///< Of the call.
  std::int64_t batch() const;  ///< Of the call.
  std::int64_t memory_len(std::int64_t memory) const;  ///< Positions of a memory of the call.

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit AttentionDecoderTape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A decoder with attention. Any number of threads may call it at once, also while it is edited. After a move it may
/// only be assigned to or destroyed.
template <class T>
class GRU_NATIVE_API AttentionDecoder {
 public:
  /// A decoder whose weights are 0. Throws std::invalid_argument, as AttentionDecoderSpec::validate, and
  /// std::bad_alloc.
  explicit AttentionDecoder(const AttentionDecoderSpec& spec);
  ~AttentionDecoder();
  AttentionDecoder(AttentionDecoder&& other) noexcept;
  AttentionDecoder& operator=(AttentionDecoder&& other) noexcept;

  /// Reads a safetensors file that save(), or gru_native.save in Python, wrote of a decoder of T. Throws FileError (see
  /// model.h) and std::bad_alloc.
  static AttentionDecoder load(const std::string& path);
  /// Writes such a file, whole or not at all. Throws FileError.
  void save(const std::string& path) const;

  const AttentionDecoderSpec& spec() const;

  /// All weights, to be read. With H = hidden_size, E = embedding_dim, M = memory_size, C = context_size(),
  /// A = score_size(), R = readout_columns():
  ///
  /// - weight_embedding (vocab_size, E);
  /// - weight_ih_l{k}, weight_hh_l{k}, bias_ih_l{k}, bias_hh_l{k}, those of a Layer whose input has E + C columns, or
  ///   without input_feeding E;
  /// - of memory m: with additive and location scores weight_query_m{m} (A, H), weight_memory_m{m} (A, M),
  ///   bias_score_m{m} (A,), weight_score_m{m} (A,), of which these are W, U, b and v; with location also
  ///   weight_location_m{m} (A, location_channels) and weight_filter_m{m} (location_channels, location_width), V and F;
  ///   with general scores weight_memory_m{m} (H, M);
  /// - weight_readout (R, H + C + E) and bias_readout (R,), with maxout 2 R rows;
  /// - weight_output (vocab_size, R) and bias_output (vocab_size,).
  const std::vector<Weight<const T>>& weights() const;

  /// All weights, to be written; the decoder computes with them when the edit ends. Throws std::bad_alloc.
  [[nodiscard]] WeightEdit<T> edit();

  /// Inference. Throws std::invalid_argument, naming the field of the call that is wrong, and std::bad_alloc; nothing
  /// is then written.
  void forward(const DecoderForwardCall<T>& call) const;

  /// The same, and what backward needs of it.
  std::shared_ptr<const AttentionDecoderTape<T>> forward_with_tape(const DecoderForwardCall<T>& call) const;

  /// Throws std::invalid_argument for the tape of another decoder.
  void check(const AttentionDecoderTape<T>& tape) const;

  /// Gradients of the call that made the tape, with the weights of that call. A tape may be used again. Throws as
  /// forward and check do.
  void backward(const AttentionDecoderTape<T>& tape, const DecoderBackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
