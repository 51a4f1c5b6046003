/// \file
/// Operations: the blocks of a model that have no state of their own, before, between and behind its layers.
#pragma once
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "gru_native/activation.h"
#include "gru_native/edit.h"
#include "gru_native/export.h"
#include "gru_native/precision.h"
#include "gru_native/views.h"

namespace gru_native {

/// A function of each number. It has no weights, and as many columns as what is before it.
struct ActivationSpec {
  ActivationFunction function = Activation::identity;
};

/// Layer normalisation of each row: (x - mean) / sqrt(variance + eps), then times weight, plus bias.
struct LayerNormSpec {
  std::int64_t normalized_shape = 0;  ///< Columns.
  double eps = 1e-5;
  bool elementwise_affine = true;  ///< Whether there is a weight, (normalized_shape,).
  bool bias = true;                ///< Whether there is a bias, too, if there is a weight.
};

/// Batch normalisation of each column: (x - running_mean) / sqrt(running_var + eps), then times weight, plus bias. A
/// training call takes mean and variance of all steps of all sequences of its batch instead, without what is past their
/// ends. No call changes a weight: Operation::statistics says what the running ones then are, for an edit.
struct BatchNorm1dSpec {
  std::int64_t num_features = 0;  ///< Columns.
  double eps = 1e-5;
  double momentum = 0.1;  ///< Of a batch's statistics in the next running ones.
  bool affine = true;     ///< Whether there are weight and bias, besides running_mean and running_var.
};

/// A table of rows, weight (num_embeddings, embedding_dim), of which each id takes one. Ids are whole numbers from 0 in
/// a single column of x. In a stream whose calls check nothing, another number gives a row of NaN.
struct EmbeddingSpec {
  std::int64_t num_embeddings = 0;  ///< With float at most 2^24: an id must be one of its numbers.
  std::int64_t embedding_dim = 0;
  std::int64_t padding_idx = -1;    ///< The row that no gradient changes; -1: none.
};

/// Zeros around a sequence.
struct Padding {
  enum Kind : int {
    causal,  ///< Before it, as many as there are steps behind the first tap: an output needs no later step.
    same,    ///< On both sides, so that there are as many outputs as steps; without stride.
    valid,   ///< None.
    number   ///< `steps` on both sides.
  };
  Kind kind = causal;
  std::int64_t steps = 0;
};

/// A convolution over time, then a function. weight is (out_channels, in_channels / groups, kernel_size). A sequence is
/// taken as if it were alone: past its end there are zeros.
struct Conv1dSpec {
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  std::int64_t kernel_size = 0;  ///< Taps.
  std::int64_t stride = 1;
  std::int64_t dilation = 1;     ///< Steps from tap to tap.
  std::int64_t groups = 1;
  Padding padding;
  bool bias = true;
  ActivationFunction activation = Activation::identity;
};

/// One row of all steps of a sequence: the last, their mean, or the largest number of each column. A sequence without
/// steps gives zeros. It has as many columns as what is before it; behind it there are no steps.
struct PoolSpec {
  enum Kind : int { last, mean, max };
  Kind kind = last;
};

/// The largest numbers of windows over time, column by column. Steps beyond a sequence count as none.
struct MaxPool1dSpec {
  std::int64_t kernel_size = 0;  ///< Steps of a window.
  std::int64_t stride = 0;       ///< Steps from one to the next; 0: kernel_size.
  std::int64_t padding = 0;      ///< Steps beyond a sequence on both sides, at most half a window.
  std::int64_t dilation = 1;     ///< Between the steps of a window.
  bool ceil_mode = false;        ///< Whether the last window may reach further, if it begins within the sequence.
};

/// The means of windows over time, column by column.
struct AvgPool1dSpec {
  std::int64_t kernel_size = 0;   ///< Steps of a window.
  std::int64_t stride = 0;        ///< Steps from one to the next; 0: kernel_size.
  std::int64_t padding = 0;       ///< Zeros on both sides of a sequence, at most half a window.
  bool ceil_mode = false;         ///< Whether the last window may reach further, if it begins within the sequence.
  bool count_include_pad = true;  ///< Whether these zeros count in the number that a sum is divided by.
};

/// Of images: how many rows of dots, and how many columns.
struct Size2d {
  std::int64_t height = 1, width = 1;
};

/// Sequences become images of one channel: steps their columns from left to right, and the numbers of a step the dots
/// of a column. To a call an image is such a sequence still, with one step for each column of dots: width is seq_len,
/// lengths are widths, and a row of x has height * channels numbers, [height][channels].
struct ImageSpec {
  std::int64_t features = 0;  ///< Columns of x, the height of the image; 0: any.
};

/// Images become sequences again: rows of channels * height numbers, [channels][height].
struct ColumnsSpec {};

/// Zeros around an image.
struct Padding2d {
  Padding::Kind kind = Padding::number;  ///< same, valid or number, as of Padding.
  Size2d size{0, 0};                     ///< Of a number: above and below, left and right.
};

/// A convolution of images, then a function. weight is (out_channels, in_channels / groups, height, width). An image is
/// taken as if it were alone: past its end there are zeros.
struct Conv2dSpec {
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  Size2d kernel_size;
  Size2d stride;
  Size2d dilation;
  std::int64_t groups = 1;
  Padding2d padding;
  bool bias = true;
  ActivationFunction activation = Activation::identity;
};

/// The largest numbers of windows over images, channel by channel. What is beyond an image counts as none.
struct MaxPool2dSpec {
  Size2d kernel_size;
  Size2d stride{0, 0};     ///< 0: that of kernel_size.
  Size2d padding{0, 0};    ///< Beyond an image on both sides, at most half a window.
  Size2d dilation;
  bool ceil_mode = false;  ///< Whether the last windows may reach further, if they begin within the image.
};

/// The means of windows over images, channel by channel.
struct AvgPool2dSpec {
  Size2d kernel_size;
  Size2d stride{0, 0};               ///< 0: that of kernel_size.
  Size2d padding{0, 0};              ///< Zeros on both sides of an image, at most half a window.
  bool ceil_mode = false;            ///< Whether the last windows may reach further, if they begin within the image.
  bool count_include_pad = true;     ///< Whether these zeros count in the number that a sum is divided by.
  std::int64_t divisor_override = 0; ///< What a sum is divided by instead; 0: that number.
};

/// Batch normalisation of the channels of images, over all places of all images of a batch.
struct BatchNorm2dSpec : BatchNorm1dSpec {};

/// A place in a list of blocks where it branches. Between a fork and a join stand paths, which all read the x of the
/// fork, and `next` between two of them; a path without blocks hands x on. The join makes one y of theirs: their sum,
/// their product, or their columns side by side. Paths may branch, too. See parallel() in model.h.
struct BranchSpec {
  enum Mark : int { fork, next, add, multiply, concat };
  Mark mark = fork;
};

/// Which operation, with its options.
struct OperationSpec {
  std::variant<ActivationSpec, LayerNormSpec, EmbeddingSpec, Conv1dSpec, PoolSpec, MaxPool1dSpec, AvgPool1dSpec,
               BranchSpec, BatchNorm1dSpec, ImageSpec, ColumnsSpec, Conv2dSpec, MaxPool2dSpec, AvgPool2dSpec,
               BatchNorm2dSpec>
      kind;
  Precision precision = Precision::full;  ///< There is no other one: what a model file says is checked.

  /// Throws std::invalid_argument, naming the field, unless there is such an operation.
  GRU_NATIVE_API void validate() const;
  /// Columns of x; 0: any.
  GRU_NATIVE_API std::int64_t input_size() const;
  /// Columns of y, for an x of so many, or for images of so many with so many channels; 0: they are too low.
  GRU_NATIVE_API std::int64_t output_size(std::int64_t input_size, std::int64_t channels = 0) const;
  /// Channels of y, for images of so many; 0: y is no image.
  GRU_NATIVE_API std::int64_t output_channels(std::int64_t channels) const;
  /// Steps of y, for a sequence of so many; 0: it is too short.
  GRU_NATIVE_API std::int64_t output_len(std::int64_t seq_len) const;
  /// Numbers that a stream keeps of each sequence, for an x of so many columns.
  GRU_NATIVE_API std::int64_t state_size(std::int64_t input_size) const;
};

/// One call of an operation.
template <class T>
struct OperationForwardCall {
  std::int64_t seq_len = 0;               ///< Steps of x, at least 1.
  std::int64_t batch = 0;                 ///< Sequences, at least 1.
  std::int64_t input_size = 0;            ///< Columns of x, where the operation takes any.
  std::int64_t channels = 0;              ///< Of images, where the operation takes any.
  Sequences<const T> x;                   ///< Its columns.
  const std::int64_t* lengths = nullptr;  ///< [batch], each 0 to seq_len; null: all seq_len.
  Sequences<T> y;         ///< output_len(seq_len) steps, written; 0 past the end of a sequence. Must not overlap x.
  bool training = false;  ///< With a tape: whether a batch normalisation takes the batch's statistics.
};

/// The gradients of a loss. Null: on the way out not wanted. Shapes are those of the forward call.
template <class T>
struct OperationBackwardCall {
  Sequences<const T> dy;  ///< Of y; must be there.
  Sequences<T> dx;  ///< Of x, written; 0 past the end of a sequence. Must be null for ids.
  std::vector<T*> dweights;  ///< Of each of weights(), written (not added to). Empty: of none. See OperationTape::rows.
                             ///< Running statistics have none: these are not looked at.
};

/// What one forward call keeps for backward; see Tape.
template <class T>
class GRU_NATIVE_API OperationTape {
 public:
  ~OperationTape();
  OperationTape(OperationTape&& other) noexcept;
  OperationTape& operator=(OperationTape&& other) noexcept;

  std::int64_t seq_len() const;  ///< Of the call.
  std::int64_t batch() const;  ///< Of the call.

  /// Of an embedding: which rows of its weight have a gradient, increasing. The gradient of the weight then is that of
  /// these rows, [rows().size()][embedding_dim]; see WeightGradient. Of others: empty.
  const std::vector<std::int64_t>& rows() const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit OperationTape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// An operation. Any number of threads may call it at once, also while it is edited. After a move it may only be
/// assigned to or destroyed.
template <class T>
class GRU_NATIVE_API Operation {
 public:
  /// One whose weights are 0. Throws std::invalid_argument, as OperationSpec::validate, and std::bad_alloc.
  explicit Operation(const OperationSpec& spec);
  ~Operation();
  Operation(Operation&& other) noexcept;
  Operation& operator=(Operation&& other) noexcept;

  const OperationSpec& spec() const;

  /// All weights, to be read, as the module of torch.nn has them: "weight" and "bias", where it has these.
  const std::vector<Weight<const T>>& weights() const;

  /// All weights, to be written; the operation computes with them when the edit ends. Throws std::bad_alloc.
  [[nodiscard]] WeightEdit<T> edit();

  /// Inference. Throws std::invalid_argument, naming the field of the call that is wrong, and std::bad_alloc; nothing
  /// is then written.
  void forward(const OperationForwardCall<T>& call) const;

  /// The same, and what backward needs of it.
  std::shared_ptr<const OperationTape<T>> forward_with_tape(const OperationForwardCall<T>& call) const;

  /// Throws std::invalid_argument for the tape of another operation.
  void check(const OperationTape<T>& tape) const;

  /// What the running statistics of a batch normalisation become after the batch of a training call's tape,
  /// [num_features] each: (1 - momentum) of what they are, and momentum of the batch's mean and unbiased variance. To
  /// be written in an edit. Throws std::invalid_argument for another operation, another one's tape, and one of no
  /// training call.
  void statistics(const OperationTape<T>& tape, T* running_mean, T* running_var) const;

  /// Gradients of the call that made the tape, with the weights of that call. A tape may be used again. Throws as
  /// forward and check do.
  void backward(const OperationTape<T>& tape, const OperationBackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
