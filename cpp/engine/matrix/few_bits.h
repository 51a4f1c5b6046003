// Layers for inference with weights of few bits, whatever their kind: made of floats, and of what a file or a pickle
// holds.
#pragma once
#include <algorithm>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/matrix/weights.h"
#include "runtime/dispatch.h"

namespace gru_native {

// One weight of such a layer: a matrix of few bits, or floats for what has one dimension.
struct QuantizedWeight {
  QuantizedMatrix matrix;     // without rows: none
  std::vector<float> vector;
};

// What quantize() makes of a layer's weights. Throws std::invalid_argument as it says.
std::vector<QuantizedWeight> quantized_weights(const std::vector<Weight<const float>>& weights, Precision own,
                                               Precision precision);

// Puts them in the place of a store's weights.
template <class Store>
void take_quantized(Store& store, std::vector<QuantizedWeight> weights) {
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i].matrix.rows > 0) store.quantize(static_cast<int>(i), std::move(weights[i].matrix));
    else std::copy(weights[i].vector.begin(), weights[i].vector.end(), store.writable()[i].data);
  }
}

// Layers whose reserve() and fill() use the two functions below: with these weights, one for each that a layer of this
// spec has; and what L::quantize does.
template <class L, class Spec>
L layer_of_few_bits(const Spec& spec, std::vector<QuantizedWeight> weights) {
  auto impl = std::make_unique<ImplOf<L>>(spec);
  take_quantized(impl->store, std::move(weights));
  impl->store.commit(*impl);
  return open_handle<L>(std::move(impl));
}
template <class T, class L>
L quantized_copy(const L& layer, Precision precision) {
  if constexpr (std::is_same_v<T, double>) refuse_float64();
  else {
    auto spec = layer.spec();
    spec.precision = precision;
    return layer_of_few_bits<L>(spec,
                                quantized_weights(impl_of(layer).store.list(), layer.spec().precision, precision));
  }
}

// A row of a weight, which becomes a column when packed; of none: a column of zeros.
struct RowOf {
  int weight = -1;
  Index row = 0;
};

// As empty_panels and fill_panels, of the store's precision: row(gate, unit) is the RowOf that becomes a column.
template <class T, class Packed>
PackedMatrix<T> empty_panels(const WeightStore<T, Packed>& store, Index units, int gates, Index depth) {
  const Index lanes = kernels_for<T>().lanes;
  if constexpr (std::is_same_v<T, float>)
    if (store.precision() != Precision::full)
      return detail::empty_quantized(quantized_kernels_for(store.precision()), units, gates, depth, lanes);
  return empty_panels<T>(units, gates, depth, lanes);
}
template <class T, class Packed, class Row>
void fill_panels(const WeightStore<T, Packed>& store, PackedMatrix<T>& m, Index units, const Row& row) {
  const Index lanes = kernels_for<T>().lanes;
  if constexpr (std::is_same_v<T, float>)
    if (store.precision() != Precision::full)
      return fill_quantized(m, units, lanes, [&](int gate, Index unit) -> QuantizedRow {
        const RowOf from = row(gate, unit);
        return from.weight < 0 ? QuantizedRow{} : QuantizedRow{&store.quantized_at(from.weight), from.row};
      });
  fill_panels(m, units, lanes, [&](int gate, Index unit) -> const T* {
    const RowOf from = row(gate, unit);
    return from.weight < 0 ? nullptr : store.data(from.weight) + from.row * m.depth;
  });
}

}  // namespace gru_native
