// What is read off a gated graph network (Li, Tarlow, Brockschmidt and Zemel 2016), from a node's state h and its
// annotation x, z = [h; x]:
//   node_scores: score(v) = (W_f z + b_f) sigmoid(W_g z + b_g)
//   graph_sum:   vector of a graph = tanh(sum over its nodes of tanh(W_f z + b_f) sigmoid(W_g z + b_g))
#pragma once
#include "gru_native/layer.h"

namespace gru_native {

enum class ReadoutKind { node_scores, graph_sum };

struct ReadoutSpec {
  ReadoutKind kind = ReadoutKind::node_scores;
  std::int64_t hidden_size = 0;
  std::int64_t annotation_size = 0;
  std::int64_t output_size = 0;

  GRU_NATIVE_API void validate() const;
};

template <class T>
struct ReadoutCall {
  std::int64_t nodes = 0;
  const T* h = nullptr;                 // [nodes][hidden_size]
  const T* annotations = nullptr;       // [nodes][annotation_size]
  std::int64_t graphs = 1;              // graph_sum only
  const std::int64_t* graph = nullptr;  // graph_sum only: [nodes], each 0 to graphs - 1; null: all 0
  T* y = nullptr;                       // [nodes or graphs][output_size]
};

template <class T>
struct ReadoutBackwardCall {
  const T* dy = nullptr;
  T *dh = nullptr, *dannotations = nullptr;
  std::vector<T*> dweights;             // one per weights(), written (not added to); may be empty
};

template <class T>
class ReadoutTape;

template <class T>
class GRU_NATIVE_API GraphReadout {
 public:
  // Weights, zero until set: weight_f, weight_g (output, hidden + annotation), bias_f, bias_g (output).
  // Throws std::invalid_argument, std::bad_alloc.
  explicit GraphReadout(const ReadoutSpec& spec);
  ~GraphReadout();
  GraphReadout(GraphReadout&& other) noexcept;
  GraphReadout& operator=(GraphReadout&& other) noexcept;

  const ReadoutSpec& spec() const;
  const std::vector<Weight<const T>>& weights() const;
  [[nodiscard]] WeightEdit<T> edit();

  std::shared_ptr<const ReadoutTape<T>> forward(const ReadoutCall<T>& call) const;

  void check(const ReadoutTape<T>& tape) const;   // throws std::invalid_argument for a tape of another readout
  void backward(const ReadoutTape<T>& tape, const ReadoutBackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

template <class T>
class GRU_NATIVE_API ReadoutTape {
 public:
  std::int64_t nodes() const;
  std::int64_t graphs() const;
  ~ReadoutTape();
  ReadoutTape(ReadoutTape&& other) noexcept;
  ReadoutTape& operator=(ReadoutTape&& other) noexcept;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit ReadoutTape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
