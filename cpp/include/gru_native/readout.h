/// \file
/// What is read off a gated graph network (Li, Tarlow, Brockschmidt and Zemel 2016), from the state h of each node and
/// its annotation x, with z = [h; x]:
///
///     score of a node   = (W_f z + b_f) sigmoid(W_g z + b_g)
///     vector of a graph = tanh(sum over its nodes of tanh(W_f z + b_f) sigmoid(W_g z + b_g))
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "gru_native/edit.h"
#include "gru_native/export.h"
#include "gru_native/precision.h"
#include "gru_native/views.h"

namespace gru_native {

/// What is read.
enum class ReadoutKind {
  node_scores,  ///< Scores of each node.
  graph_sum     ///< A vector of each graph.
};

/// What a readout computes.
struct ReadoutSpec {
  ReadoutKind kind = ReadoutKind::node_scores;
  std::int64_t hidden_size = 0;      ///< Columns of h.
  std::int64_t annotation_size = 0;  ///< Columns of the annotations.
  std::int64_t output_size = 0;
  Precision precision = Precision::full;  ///< Of the weights: what GraphReadout::quantize made of them.

  /// Throws std::invalid_argument, naming the field, unless such a readout can be made.
  GRU_NATIVE_API void validate() const;
};

/// One call. Arrays are row-major without gaps.
template <class T>
struct ReadoutForwardCall {
  std::int64_t nodes = 0;               ///< Of all graphs, at least 1.
  const T* h = nullptr;                 ///< [nodes][hidden_size]
  const T* annotations = nullptr;       ///< [nodes][annotation_size]
  std::int64_t graphs = 1;              ///< How many; ReadoutKind::graph_sum only.
  const std::int64_t* graph = nullptr;  ///< [nodes]: that of each node, 0 to graphs - 1; null: all 0.
                                        ///< ReadoutKind::graph_sum only.
  T* y = nullptr;                       ///< [nodes or graphs][output_size], written.
};

/// The gradients of a loss. Null: on the way out not wanted.
template <class T>
struct ReadoutBackwardCall {
  const T* dy = nullptr;      ///< As y; must be there.
  T* dh = nullptr;            ///< [nodes][hidden_size], written.
  T* dannotations = nullptr;  ///< [nodes][annotation_size], written.
  std::vector<T*> dweights;   ///< Of each of weights(), written (not added to). Empty: of none.
};

/// What one forward call keeps for backward; see Tape.
template <class T>
class GRU_NATIVE_API ReadoutTape {
 public:
  ~ReadoutTape();
  ReadoutTape(ReadoutTape&& other) noexcept;
  ReadoutTape& operator=(ReadoutTape&& other) noexcept;

  std::int64_t nodes() const;   ///< Of the call.
  std::int64_t graphs() const;  ///< Of the call.

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit ReadoutTape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A readout of graphs. Any number of threads may call it at once, also while it is edited. After a move it may only be
/// assigned to or destroyed.
template <class T>
class GRU_NATIVE_API GraphReadout {
 public:
  /// A readout whose weights are 0. Throws std::invalid_argument, as ReadoutSpec::validate, and std::bad_alloc.
  explicit GraphReadout(const ReadoutSpec& spec);
  ~GraphReadout();
  GraphReadout(GraphReadout&& other) noexcept;
  GraphReadout& operator=(GraphReadout&& other) noexcept;

  const ReadoutSpec& spec() const;

  /// All weights, to be read: weight_f and weight_g (output_size, hidden_size + annotation_size), bias_f and bias_g
  /// (output_size,).
  const std::vector<Weight<const T>>& weights() const;

  /// All weights, to be written; the readout computes with them when the edit ends. Throws std::bad_alloc.
  [[nodiscard]] WeightEdit<T> edit();

  /// As Layer::quantize.
  GraphReadout quantize(Precision precision) const;

  /// Inference. Throws std::invalid_argument, naming the node or size that is wrong, and std::bad_alloc; nothing is
  /// then written.
  void forward(const ReadoutForwardCall<T>& call) const;

  /// The same, and what backward needs of it.
  std::shared_ptr<const ReadoutTape<T>> forward_with_tape(const ReadoutForwardCall<T>& call) const;

  /// Throws std::invalid_argument for the tape of another readout.
  void check(const ReadoutTape<T>& tape) const;

  /// Gradients of the call that made the tape, with the weights of that call. A tape may be used again. Throws as
  /// check does, and std::bad_alloc.
  void backward(const ReadoutTape<T>& tape, const ReadoutBackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit GraphReadout(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
