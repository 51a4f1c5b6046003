// Gated graph networks (Li, Tarlow, Brockschmidt and Zemel 2016): nodes tell their neighbours, and each takes in what
// it was told by one step of a GRU, num_steps times.
//   h = [annotation; 0]
//   m(v, k) = W_k h(v) + b_k                   for each edge type, along edges (k < types) and against them
//   a(v) = [sum of m(source) over edges into v; sum of m(target) over edges out of v]  (concat), or their sum
//   h = GRU(a, h)                              cells/gru.h: h = (1 - z) n + z h-
// The paper prints h = (1 - z) h- + z n: its z is 1 - ours, so W_z, U_z and b_z change their signs and nothing else.
#pragma once
#include "gru_native/layer.h"

namespace gru_native {

enum class Aggregate { concat, sum };
// edge: inside the message, so a node gets it once per edge (the authors' code); node: once per node (the paper).
enum class MessageBias { none, edge, node };

struct GraphSpec {
  std::int64_t hidden_size = 0;
  std::int64_t num_steps = 0;
  std::int64_t num_edge_types = 1;
  Aggregate aggregate = Aggregate::concat;
  MessageBias bias = MessageBias::edge;
  bool reset_after = false;

  GRU_NATIVE_API void validate() const;
  std::int64_t kinds() const { return 2 * num_edge_types; }  // a type and a direction
  std::int64_t inputs() const { return aggregate == Aggregate::concat ? 2 * hidden_size : hidden_size; }
};

// Many graphs in one call are one graph of many parts. Either edges, or a dense adjacency for graphs of one size.
template <class T>
struct GraphCall {
  std::int64_t nodes = 0;                         // of all graphs
  std::int64_t annotation_size = 0;               // 1 to hidden_size
  const T* annotations = nullptr;                 // [nodes][annotation_size]
  std::int64_t edges = 0;
  const std::int64_t *source = nullptr, *target = nullptr;  // [edges], each 0 to nodes - 1
  const std::int64_t* type = nullptr;             // [edges], each 0 to num_edge_types - 1; null: all 0
  std::int64_t graphs = 0;                        // dense: nodes = graphs * V, and edges is 0
  const T* adjacency = nullptr;                   // dense: [graphs][V][kinds * V]: in graph g, node v takes
                                 // adjacency[g][v][k * V + u] times m(u, k)
  T* h = nullptr;  // [nodes][hidden_size], written
};

template <class T>
struct GraphBackwardCall {
  const T* dh = nullptr;  // [nodes][hidden_size]
  T* dannotations = nullptr;  // [nodes][annotation_size], or null: not wanted
  std::vector<T*> dweights;  // one per weights(), written (not added to); may be empty
};

template <class T>
class GraphTape;

template <class T>
class GRU_NATIVE_API GatedGraph {
 public:
  // Weights, zero until set: weight_edge (kinds, hidden, hidden), bias_edge (kinds, hidden) or bias_node (inputs) or
  // none, weight_ih (3 hidden, inputs), weight_hh (3 hidden, hidden), bias_ih, bias_hh (3 hidden), rows r z n.
  // Throws std::invalid_argument, std::bad_alloc.
  explicit GatedGraph(const GraphSpec& spec);
  ~GatedGraph();
  GatedGraph(GatedGraph&& other) noexcept;
  GatedGraph& operator=(GatedGraph&& other) noexcept;

  const GraphSpec& spec() const;
  const std::vector<Weight<const T>>& weights() const;
  [[nodiscard]] WeightEdit<T> edit();

  // Throws std::invalid_argument naming the edge that is wrong; nothing is then written.
  void forward(const GraphCall<T>& call) const;
  std::shared_ptr<const GraphTape<T>> forward_with_tape(const GraphCall<T>& call) const;

  void check(const GraphTape<T>& tape) const;  // throws std::invalid_argument for a tape of another layer
  // Gradients of the call that made the tape, with the weights of that call. A tape may be used again.
  void backward(const GraphTape<T>& tape, const GraphBackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

template <class T>
class GRU_NATIVE_API GraphTape {
 public:
  std::int64_t nodes() const;
  std::int64_t annotation_size() const;
  std::int64_t graphs() const;  // 0 unless the call was dense
  ~GraphTape();
  GraphTape(GraphTape&& other) noexcept;
  GraphTape& operator=(GraphTape&& other) noexcept;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit GraphTape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
