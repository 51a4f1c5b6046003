// What GatedGraph and its tape keep behind their public faces.
#pragma once
#include <memory>
#include <vector>

#include "engine/graph/edges.h"
#include "engine/matrix/few_bits.h"
#include "engine/matrix/lazily.h"
#include "engine/sequence/direction_backward.h"
#include "gru_native/graph.h"

namespace gru_native {

// The GRU is that of cells/gru.h, driven one step at a time with the nodes as its batch.
template <class T>
struct PackedGraph {
  std::unique_ptr<PackedWeights<T>> gru;
  PackedMatrix<T> edge;                   // all kinds side by side: kinds * hidden columns
  Index columns = 0;
  Buffer<T> message_start;                // [kinds][hidden]: bias_edge or zeros
  Buffer<T> sum_start;                    // [inputs]: bias_node or zeros

  const PackedMatrix<T>& edge_transposed() const;  // inference never needs it

 private:
  Lazily<PackedMatrix<T>> edge_transposed_;
};

template <class T>
struct GatedGraph<T>::Impl {
  explicit Impl(const GraphSpec& spec);

  GraphSpec spec;
  LayerSpec gru;
  WeightStore<T, PackedGraph<T>> store;
  std::vector<WeightIndex> gru_at = std::vector<WeightIndex>(1);
  int edge, bias = -1;  // bias_edge or bias_node

  std::shared_ptr<PackedGraph<T>> reserve() const;
  void fill(PackedGraph<T>& packed) const;
  void forward(const GraphForwardCall<T>& call, ImplOf<GraphTape<T>>* tape) const;
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

// Of few bits: these weights, one for each that a network of this spec has.
GatedGraph<float> quantized_layer(const GraphSpec& spec, std::vector<QuantizedWeight> weights);

}  // namespace gru_native
