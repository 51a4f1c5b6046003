// What TreeLayer and its tape keep behind their public faces.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "engine/matrix/few_bits.h"
#include "engine/tree/tree.h"

namespace gru_native {

template <class T>
struct TreeLayer<T>::Impl {
  explicit Impl(const TreeSpec& spec);

  std::shared_ptr<PackedTree<T>> reserve() const { return reserve_packed<T>(spec, store); }
  void fill(PackedTree<T>& packed) const { pack(packed, spec, store, index); }
  Forest forest_of(const TreeForwardCall<T>& call) const;

  TreeSpec spec;
  TreeStore<T> store;
  TreeWeightIndex index;
};

template <class T>
struct TreeTape<T>::Impl : TapeOf<PackedTree<T>> {
  Impl(TapeOf<PackedTree<T>> base, Forest f) : TapeOf<PackedTree<T>>(std::move(base)), forest(std::move(f)) {}

  Forest forest;
  ForestValues<T> values;
};

// Of few bits: these weights, one for each that a layer of this spec has.
TreeLayer<float> quantized_layer(const TreeSpec& spec, std::vector<QuantizedWeight> weights);

}  // namespace gru_native
