/// \file
/// Gated graph networks (Li, Tarlow, Brockschmidt and Zemel 2016): nodes tell their neighbours, and each takes in what
/// it was told by one step of a GRU, num_steps times.
///
///     h = [annotation; 0]
///     m(v, k) = W_k h(v) + b_k              for each type of edge, along edges (k < types) and against them
///     a(v) = [sum of m(source) over edges into v; sum of m(target) over edges out of v], or the sum of both
///     h = GRU(a, h),  h = (1 - z) n + z h-
///
/// The paper prints h = (1 - z) h- + z n: its z is 1 - ours, so W_z, U_z and b_z change their signs and nothing else.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "gru_native/edit.h"
#include "gru_native/export.h"
#include "gru_native/precision.h"
#include "gru_native/views.h"

namespace gru_native {

/// How what comes along edges and what comes against them become the input of the GRU.
enum class Aggregate {
  concat,  ///< Side by side: 2 hidden_size columns.
  sum      ///< Added up: hidden_size columns.
};

/// Where the bias of a message is added.
enum class MessageBias {
  none,
  edge,  ///< In the message, so that a node gets it once for each edge (the authors' code).
  node   ///< In the sum, so that a node gets it once (the paper).
};

/// What a network computes.
struct GraphSpec {
  std::int64_t hidden_size = 0;
  std::int64_t num_steps = 0;
  std::int64_t num_edge_types = 1;
  Aggregate aggregate = Aggregate::concat;
  MessageBias bias = MessageBias::edge;
  bool reset_after = false;  ///< The GRU's; see LayerSpec.
  Precision precision = Precision::full;  ///< Of the weights: what GatedGraph::quantize made of them.

  /// Throws std::invalid_argument, naming the field, unless such a network can be made.
  GRU_NATIVE_API void validate() const;
  /// Kinds of messages: a type of edge and a direction.
  std::int64_t kinds() const { return 2 * num_edge_types; }
  /// Columns of the GRU's input.
  std::int64_t inputs() const { return aggregate == Aggregate::concat ? 2 * hidden_size : hidden_size; }
};

/// One call. Many graphs in one call are one graph of many parts. Give either edges, or, for graphs of one size,
/// adjacency. Arrays are row-major without gaps.
template <class T>
struct GraphForwardCall {
  std::int64_t nodes = 0;                ///< Of all graphs, at least 1.
  std::int64_t annotation_size = 0;      ///< 1 to hidden_size.
  const T* annotations = nullptr;        ///< [nodes][annotation_size]
  std::int64_t edges = 0;                ///< How many.
  const std::int64_t* source = nullptr;  ///< [edges], each 0 to nodes - 1.
  const std::int64_t* target = nullptr;  ///< [edges], each 0 to nodes - 1.
  const std::int64_t* type = nullptr;    ///< [edges], each 0 to num_edge_types - 1; null: all 0.
  std::int64_t graphs = 0;               ///< With adjacency: how many, each with V = nodes / graphs nodes.
  const T* adjacency = nullptr;          ///< [graphs][V][kinds() * V]: in graph g, node v takes
                                 ///< adjacency[g][v][k * V + u] times m(u, k).
  T* h = nullptr;  ///< [nodes][hidden_size], written.
};

/// The gradients of a loss. Null: on the way out not wanted.
template <class T>
struct GraphBackwardCall {
  const T* dh = nullptr;  ///< [nodes][hidden_size]; must be there.
  T* dannotations = nullptr;  ///< [nodes][annotation_size], written.
  std::vector<T*> dweights;  ///< Of each of weights(), written (not added to). Empty: of none.
};

/// What one forward call keeps for backward; see Tape.
template <class T>
class GRU_NATIVE_API GraphTape {
 public:
  ~GraphTape();
  GraphTape(GraphTape&& other) noexcept;
  GraphTape& operator=(GraphTape&& other) noexcept;

  std::int64_t nodes() const;  ///< Of the call.
  std::int64_t annotation_size() const;  ///< Of the call.
  std::int64_t graphs() const;  ///< Of the call; 0 if it had edges.

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit GraphTape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A gated graph network. Any number of threads may call it at once, also while it is edited. After a move it may only
/// be assigned to or destroyed.
template <class T>
class GRU_NATIVE_API GatedGraph {
 public:
  /// A network whose weights are 0. Throws std::invalid_argument, as GraphSpec::validate, and std::bad_alloc.
  explicit GatedGraph(const GraphSpec& spec);
  ~GatedGraph();
  GatedGraph(GatedGraph&& other) noexcept;
  GatedGraph& operator=(GatedGraph&& other) noexcept;

  const GraphSpec& spec() const;

  /// All weights, to be read, with H = hidden_size: weight_edge (kinds(), H, H), with bias either bias_edge (kinds(),
  /// H) or bias_node (inputs(),), and the GRU's weight_ih (3 H, inputs()), weight_hh (3 H, H), bias_ih and bias_hh (3
  /// H,), rows in the order r z n.
  const std::vector<Weight<const T>>& weights() const;

  /// All weights, to be written; the network computes with them when the edit ends. Throws std::bad_alloc.
  [[nodiscard]] WeightEdit<T> edit();

  /// As Layer::quantize.
  GatedGraph quantize(Precision precision) const;

  /// Inference. Throws std::invalid_argument, naming the edge or size that is wrong, and std::bad_alloc; nothing is
  /// then written.
  void forward(const GraphForwardCall<T>& call) const;

  /// The same, and what backward needs of it.
  std::shared_ptr<const GraphTape<T>> forward_with_tape(const GraphForwardCall<T>& call) const;

  /// Throws std::invalid_argument for the tape of another network.
  void check(const GraphTape<T>& tape) const;

  /// Gradients of the call that made the tape, with the weights of that call. A tape may be used again. Throws as
  /// check does, and std::bad_alloc.
  void backward(const GraphTape<T>& tape, const GraphBackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit GatedGraph(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
