/// \file
/// Labels for the outputs of a transducer's encoder (Graves 2012): beam search over whole sequences, and the best label
/// of every moment for sequences that come in pieces.
///
/// A transducer gives, for step t of the encoder and the u labels so far, a softmax over the next label and a blank,
/// which leads to the next step. Its logits come from e_t, the encoder's output, and g_u, that of a prediction network
/// which is fed the labels.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "gru_native/activation.h"
#include "gru_native/decoding.h"
#include "gru_native/model.h"

namespace gru_native {

/// How e_t and g_u become one row of numbers.
enum class TransducerJoin {
  concat,  ///< [e_t; g_u]
  add  ///< e_t + g_u, which have equally many numbers.
};

/// What a transducer has beside its encoder: logits = output(activation(join(e_t, g_u))).
template <class T>
struct TransducerNetworks {
  std::int64_t classes = 0;  ///< Symbols, the blank among them.
  std::int64_t encoded_size = 0;  ///< Numbers of e_t.
  std::int64_t blank = 0;
  std::shared_ptr<const BasicModel<T>>
      prediction;  ///< Makes g_u, a step for each label; without a bidirectional layer.
  std::vector<T> embedding;  ///< [classes][prediction->input_size()]: what the prediction network is fed for a label;
                             ///< row `blank` is what it is fed before the first.
  TransducerJoin join = TransducerJoin::concat;
  Activation activation = Activation::identity;  ///< identity, tanh, sigmoid or relu.
  std::shared_ptr<const BasicModel<T>> output;  ///< Dense layers; null: the joined numbers are the logits.
  /// Instead of join, activation and output: writes the logits [rows][classes] of rows of e_t, [rows][encoded_size],
  /// and g_u, [rows][prediction->output_size()]. It is called by the calling thread only, and may throw.
  std::function<void(const T* encoded, const T* predicted, std::int64_t rows, T* logits)> joint;
};

/// One beam search over encoded sequences.
template <class T>
struct TransducerDecodingCall {
  std::int64_t seq_len = 0;
  std::int64_t batch = 0;
  Sequences<const T> encoded;  ///< encoded_size numbers a step.
  const std::int64_t* lengths = nullptr;  ///< [batch], 0 to seq_len; null: all seq_len.
  std::int64_t beam_size = 8;
  std::int64_t max_symbols = 10;  ///< Labels at one step, at most.
};

/// Step after step the `beam_size` likeliest beginnings of the labels are followed. At a step each beginning may take
/// the blank, or a label and then the blank, and so on; the ways to the same labels are added up. A label is followed
/// if it is among the beam_size best of its number at this step, and better than the beam_size best that have taken
/// the blank. Up to beam_size hypotheses for each sequence, the best first; of equals the one that had its blank with
/// fewer labels, and then the one whose beginning came first, the better label, the smaller label. None whose
/// probability is 0.
///
/// Throws std::invalid_argument, naming the field, also for logits that have no softmax; and std::bad_alloc.
template <class T>
GRU_NATIVE_API std::vector<Hypotheses> transducer_beam(const TransducerNetworks<T>& networks,
                                                       const TransducerDecodingCall<T>& call);

/// A transducer that says the best label of every moment, for sequences that come in pieces. The labels do not depend
/// on the pieces. It belongs to one thread at a time, and holds on to the weights of the moment at which it was made.
/// Copies share the weights, and go on from where it is, on their own. After a move it may only be assigned to or
/// destroyed.
template <class T>
class GRU_NATIVE_API TransducerStream {
 public:
  /// \param networks See TransducerNetworks.
  /// \param batch Sequences side by side.
  /// \param max_symbols Labels at one step, at most.
  /// \throws std::invalid_argument for what is wrong, by its name, and std::bad_alloc.
  explicit TransducerStream(const TransducerNetworks<T>& networks, std::int64_t batch = 1,
                            std::int64_t max_symbols = 10);
  TransducerStream(const TransducerStream& other);
  TransducerStream& operator=(const TransducerStream& other);
  ~TransducerStream();
  TransducerStream(TransducerStream&& other) noexcept;
  TransducerStream& operator=(TransducerStream&& other) noexcept;

  std::int64_t batch() const noexcept;  ///< Sequences side by side.

  /// The labels that the next steps of the encoder bring, of each sequence. At each step the best symbol is taken, of
  /// equals the first, until that is the blank. Throws std::invalid_argument, also for logits that have no softmax, and
  /// std::bad_alloc; the state is then as before.
  std::vector<std::vector<std::int64_t>> process(Sequences<const T> encoded, std::int64_t seq_len);

  /// The log-probability of all that was taken so far, blanks too, of a sequence.
  double score(std::int64_t sequence) const;
  /// Back to the beginning of all sequences.
  void reset();

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  explicit TransducerStream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
