/// \file
/// Gated recursive convolution, grConv (Cho, van Merrienboer, Bahdanau and Bengio 2014). Over a sequence stand levels,
/// each one position shorter than the one below; every position is made of two neighbours of the level below, and the
/// single position of the last level is a vector of the whole sequence. Gates show how it was put together:
///
///     lowest level: h = W_ih x
///     [c; l; r] = softmax(gate_left h_left + gate_right h_right + gate_bias)
///     h = c f(W_left h_left + W_right h_right + bias) + l h_left + r h_right
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "gru_native/activation.h"
#include "gru_native/edit.h"
#include "gru_native/export.h"
#include "gru_native/views.h"

namespace gru_native {

/// What a layer computes.
struct GrConvSpec {
  std::int64_t input_size = 0;
  std::int64_t hidden_size = 0;
  Activation activation = Activation::tanh;  ///< f: identity, tanh, sigmoid or relu.

  /// Throws std::invalid_argument, naming the field, unless such a layer can be made.
  GRU_NATIVE_API void validate() const;
};

/// One call.
template <class T>
struct GrConvForwardCall {
  std::int64_t seq_len = 0;               ///< Steps, at least 1.
  std::int64_t batch = 0;                 ///< Sequences, at least 1.
  Sequences<const T> x;                   ///< input_size columns.
  const std::int64_t* lengths = nullptr;  ///< [batch], each 0 to seq_len; null: all seq_len.
  T* y = nullptr;                         ///< [batch][hidden_size], the last level of each sequence, written; 0 for
                                          ///< length 0.
  std::vector<T*> gates;                  ///< Empty: not wanted. Else for each level 1 to seq_len - 1
                          ///< [seq_len - level][batch][3], written: c, l, r of each position; 0 past the
                          ///< end of a sequence.
};

/// The gradients of a loss. Null: on the way out not wanted.
template <class T>
struct GrConvBackwardCall {
  const T* dy = nullptr;  ///< [batch][hidden_size]; must be there.
  Sequences<T> dx;  ///< Of x, written; 0 past the end of a sequence.
  std::vector<T*> dweights;  ///< Of each of weights(), written (not added to). Empty: of none.
};

/// What one forward call keeps for backward; see Tape.
template <class T>
class GRU_NATIVE_API GrConvTape {
 public:
  ~GrConvTape();
  GrConvTape(GrConvTape&& other) noexcept;
  GrConvTape& operator=(GrConvTape&& other) noexcept;

  std::int64_t seq_len() const;  ///< Of the call.
  std::int64_t batch() const;  ///< Of the call.

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit GrConvTape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A gated recursive convolution. Any number of threads may call it at once, also while it is edited. After a move it
/// may only be assigned to or destroyed.
template <class T>
class GRU_NATIVE_API GatedRecursiveConv {
 public:
  /// A layer whose weights are 0. Throws std::invalid_argument, as GrConvSpec::validate, and std::bad_alloc.
  explicit GatedRecursiveConv(const GrConvSpec& spec);
  ~GatedRecursiveConv();
  GatedRecursiveConv(GatedRecursiveConv&& other) noexcept;
  GatedRecursiveConv& operator=(GatedRecursiveConv&& other) noexcept;

  const GrConvSpec& spec() const;

  /// All weights, to be read, with H = hidden_size: weight_ih (H, input_size), weight_left and weight_right (H, H),
  /// bias (H,), gate_left and gate_right (3, H), gate_bias (3,), gates in the order c, l, r.
  const std::vector<Weight<const T>>& weights() const;

  /// All weights, to be written; the layer computes with them when the edit ends. Throws std::bad_alloc.
  [[nodiscard]] WeightEdit<T> edit();

  /// Inference. Throws std::invalid_argument, naming the field of the call that is wrong, and std::bad_alloc; nothing
  /// is then written.
  void forward(const GrConvForwardCall<T>& call) const;

  /// The same, and what backward needs of it.
  std::shared_ptr<const GrConvTape<T>> forward_with_tape(const GrConvForwardCall<T>& call) const;

  /// Throws std::invalid_argument for the tape of another layer.
  void check(const GrConvTape<T>& tape) const;

  /// Gradients of the call that made the tape, with the weights of that call. A tape may be used again. Throws as
  /// forward and check do.
  void backward(const GrConvTape<T>& tape, const GrConvBackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
