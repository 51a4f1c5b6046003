/// \file
/// A dense layer: y = f(W x + b) at every step, such as the head of a recurrent network.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "gru_native/edit.h"
#include "gru_native/export.h"
#include "gru_native/precision.h"
#include "gru_native/views.h"

namespace gru_native {

/// What follows the product. The last two are functions of all outputs of a step together, defined as in
/// torch.nn.functional, also for infinities.
enum class DenseActivation {
  identity,
  tanh,
  sigmoid,
  relu,
  softmax,     ///< e^a over the sum of all e^a of the step.
  log_softmax  ///< Its logarithm.
};

/// What a dense layer computes.
struct DenseSpec {
  std::int64_t input_size = 0;
  std::int64_t output_size = 0;
  bool bias = true;
  DenseActivation activation = DenseActivation::identity;
  Precision precision = Precision::full;  ///< Of the weights: what Dense::quantize made of them.

  /// Throws std::invalid_argument, naming the field, unless such a layer can be made.
  GRU_NATIVE_API void validate() const;
};

/// One call of a dense layer.
template <class T>
struct DenseForwardCall {
  std::int64_t seq_len = 0;               ///< Steps, at least 1.
  std::int64_t batch = 0;                 ///< Sequences, at least 1.
  Sequences<const T> x;                   ///< input_size columns.
  const std::int64_t* lengths = nullptr;  ///< [batch], each 0 to seq_len; null: all seq_len.
  Sequences<T> y;                         ///< output_size columns, written; 0 past the end of a sequence. Must not
                                          ///< overlap x.
};

/// The gradients of a loss. Null: on the way out not wanted. Shapes are those of the forward call.
template <class T>
struct DenseBackwardCall {
  Sequences<const T> dy;     ///< Of y; must be there.
  Sequences<T> dx;           ///< Of x, written; 0 past the end of a sequence. Must not overlap dy.
  std::vector<T*> dweights;  ///< Of each of weights(), written (not added to). Empty: of none.
};

/// What one forward call keeps for backward; see Tape.
template <class T>
class GRU_NATIVE_API DenseTape {
 public:
  ~DenseTape();
  DenseTape(DenseTape&& other) noexcept;
  DenseTape& operator=(DenseTape&& other) noexcept;

  std::int64_t seq_len() const;  ///< Of the call.
  std::int64_t batch() const;    ///< Of the call.

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit DenseTape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A dense layer. Any number of threads may call it at once, also while it is edited. After a move it may only be
/// assigned to or destroyed.
template <class T>
class GRU_NATIVE_API Dense {
 public:
  /// A layer whose weights are 0. Throws std::invalid_argument, as DenseSpec::validate, and std::bad_alloc.
  explicit Dense(const DenseSpec& spec);
  ~Dense();
  Dense(Dense&& other) noexcept;
  Dense& operator=(Dense&& other) noexcept;

  const DenseSpec& spec() const;

  /// All weights, to be read, as torch.nn.Linear has them: weight (output_size, input_size) and, with bias, bias
  /// (output_size,).
  const std::vector<Weight<const T>>& weights() const;

  /// All weights, to be written; the layer computes with them when the edit ends. Throws std::bad_alloc.
  [[nodiscard]] WeightEdit<T> edit();

  /// As Layer::quantize.
  Dense quantize(Precision precision) const;

  /// Inference. Throws std::invalid_argument, naming the field of the call that is wrong, and std::bad_alloc; nothing
  /// is then written.
  void forward(const DenseForwardCall<T>& call) const;

  /// The same, and what backward needs of it.
  std::shared_ptr<const DenseTape<T>> forward_with_tape(const DenseForwardCall<T>& call) const;

  /// Throws std::invalid_argument for the tape of another layer.
  void check(const DenseTape<T>& tape) const;

  /// Gradients of the call that made the tape, with the weights of that call. A tape may be used again. Throws as
  /// forward and check do.
  void backward(const DenseTape<T>& tape, const DenseBackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit Dense(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
