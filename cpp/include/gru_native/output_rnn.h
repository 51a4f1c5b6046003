/// \file
/// Output recurrence: a network that feeds back its output instead of its state (Jordan 1986; Goodfellow, Bengio and
/// Courville 2016, section 10.2.1).
///
///     h(t) = phi(W_ih x(t) + W_oh o(t-1) + b_h)
///     o(t) = psi(W_ho h(t) + b_o)
///
/// With teacher forcing the wanted output is fed in place of o(t-1). Steps then do not wait for each other, and all of
/// them are computed at once.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "gru_native/activation.h"
#include "gru_native/edit.h"
#include "gru_native/export.h"
#include "gru_native/precision.h"
#include "gru_native/views.h"

namespace gru_native {

/// What a layer computes.
struct OutputRnnSpec {
  std::int64_t input_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t output_size = 0;
  bool bias = true;
  Activation activation = Activation::tanh;             ///< phi: identity, tanh, sigmoid or relu.
  Activation output_activation = Activation::identity;  ///< psi: one of the same.
  Precision precision = Precision::full;  ///< Of the weights: what OutputRnn::quantize made of them.

  /// Throws std::invalid_argument, naming the field, unless such a layer can be made.
  GRU_NATIVE_API void validate() const;
};

/// One call.
template <class T>
struct OutputRnnForwardCall {
  std::int64_t seq_len = 0;               ///< Steps, at least 1.
  std::int64_t batch = 0;                 ///< Sequences, at least 1.
  Sequences<const T> x;                   ///< input_size columns.
  const std::int64_t* lengths = nullptr;  ///< [batch], each 0 to seq_len; null: all seq_len.
  const T* initial = nullptr;             ///< [batch][output_size]: what the first step is fed; null: zeros.
  Sequences<const T> targets;             ///< output_size columns: what each step hands to the next in place of its
                                          ///< output; null: its output.
  Sequences<T> y;                         ///< output_size columns, written; 0 past the end of a sequence.
  T* final = nullptr;  ///< [batch][output_size]: what the next step would be fed, written; null: not
                       ///< wanted.
};

/// The gradients of a loss. Null: on the way in zeros, on the way out not wanted. Shapes are those of the forward call.
template <class T>
struct OutputRnnBackwardCall {
  Sequences<const T> dy;  ///< Of y.
  const T* dfinal = nullptr;  ///< Of final.
  Sequences<T> dx;  ///< Of x, written; 0 past the end of a sequence.
  T* dinitial = nullptr;  ///< Of initial, written.
  Sequences<T> dtargets;  ///< Of the targets, written; only where there were any.
  std::vector<T*> dweights;  ///< Of each of weights(), written (not added to). Empty: of none.
};

/// What one forward call keeps for backward; see Tape.
template <class T>
class GRU_NATIVE_API OutputRnnTape {
 public:
  ~OutputRnnTape();
  OutputRnnTape(OutputRnnTape&& other) noexcept;
  OutputRnnTape& operator=(OutputRnnTape&& other) noexcept;

  std::int64_t seq_len() const;  ///< Of the call.
  std::int64_t batch() const;  ///< Of the call.
  bool forced() const;  ///< Whether the call had targets.

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit OutputRnnTape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A layer with output recurrence. Any number of threads may call it at once, also while it is edited. After a move it
/// may only be assigned to or destroyed.
template <class T>
class GRU_NATIVE_API OutputRnn {
 public:
  /// A layer whose weights are 0. Throws std::invalid_argument, as OutputRnnSpec::validate, and std::bad_alloc.
  explicit OutputRnn(const OutputRnnSpec& spec);
  ~OutputRnn();
  OutputRnn(OutputRnn&& other) noexcept;
  OutputRnn& operator=(OutputRnn&& other) noexcept;

  const OutputRnnSpec& spec() const;

  /// All weights, to be read: weight_ih (hidden_size, input_size), weight_oh (hidden_size, output_size), weight_ho
  /// (output_size, hidden_size) and, with bias, bias_h (hidden_size,) and bias_o (output_size,).
  const std::vector<Weight<const T>>& weights() const;

  /// All weights, to be written; the layer computes with them when the edit ends. Throws std::bad_alloc.
  [[nodiscard]] WeightEdit<T> edit();

  /// As Layer::quantize.
  OutputRnn quantize(Precision precision) const;

  /// Inference. Throws std::invalid_argument, naming the field of the call that is wrong, and std::bad_alloc; nothing
  /// is then written.
  void forward(const OutputRnnForwardCall<T>& call) const;

  /// The same, and what backward needs of it.
  std::shared_ptr<const OutputRnnTape<T>> forward_with_tape(const OutputRnnForwardCall<T>& call) const;

  /// Throws std::invalid_argument for the tape of another layer.
  void check(const OutputRnnTape<T>& tape) const;

  /// Gradients of the call that made the tape, with the weights of that call. A tape may be used again. Throws as
  /// forward and check do.
  void backward(const OutputRnnTape<T>& tape, const OutputRnnBackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit OutputRnn(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
