// What GatedGraph and its tape keep behind their public faces.
#pragma once
#include "engine/graph/edges.h"
#include "engine/matrix/weights.h"
#include "engine/sequence/direction_backward.h"
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

  void forward(const GraphCall<T>& call, ImplOf<GraphTape<T>>* tape) const;
};

template <class T>
struct GraphTape<T>::Impl : TapeOf<PackedGraph<T>> {
  explicit Impl(TapeOf<PackedGraph<T>> base) : TapeOf<PackedGraph<T>>(std::move(base)) {}

  Index annotation_size = 0;
  Timeline time;                  // num_steps steps of `nodes` rows
  EdgeLists edges;
  EdgeMatrices<T> dense;            // if it has graphs
  Matrix<T> a{};                  // [step * nodes][inputs]
  DirectionTape<T> direction;
};

}  // namespace gru_native
