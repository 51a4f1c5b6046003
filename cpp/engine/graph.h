// What GatedGraph and its tape keep behind their public faces.
#pragma once
#include "engine/backward.h"
#include "engine/links.h"
#include "engine/weights.h"
#include "gru_native/graph.h"

namespace gru_native {

// The GRU is that of cells/gru.h, driven one step at a time with the nodes as its batch.
template <class T>
struct PackedGraph {
  std::shared_ptr<const PackedWeights<T>> gru;
  PackedMatrix<T> edge, edge_transposed;  // all kinds side by side
  Buffer<T> message_start;                // [kinds][hidden]: bias_edge or zeros
  Buffer<T> sum_start;                    // [inputs]: bias_node or zeros
};

template <class T>
struct GatedGraph<T>::Impl {
  explicit Impl(const GraphSpec& spec);

  GraphSpec spec;
  LayerSpec gru;
  WeightStore<T, PackedGraph<T>> store;
  WeightIndex gru_at;
  int edge, bias = -1;  // bias_edge or bias_node

  void forward(const GraphCall<T>& call, typename GraphTape<T>::Impl* tape) const;
};

template <class T>
struct GraphTape<T>::Impl {
  std::uint64_t layer_id = 0;
  std::shared_ptr<const PackedGraph<T>> packed;
  Index annotation_size = 0;
  Timeline time;                  // num_steps steps of `nodes` rows
  EdgeLists edges;
  DenseLinks<T> dense;            // if it has graphs
  ArenaPool::Lease arena;         // holds all that is pointed to
  Matrix<T> a{};                  // [step * nodes][inputs]
  DirectionTape<T> direction;
};

}  // namespace gru_native
