// Layers for inference with weights of few bits, from floats and from what a file holds.
#pragma once
#include <algorithm>
#include <utility>
#include <vector>

#include "engine/matrix/quantization.h"
#include "gru_native/layer.h"

namespace gru_native {

// One weight of a quantized layer or dense layer: a matrix of few bits, or floats for what has one dimension.
struct QuantizedWeight {
  QuantizedMatrix matrix;     // without rows: none
  std::vector<float> vector;
};

// What quantize() makes of a layer's weights. Throws std::invalid_argument as it says.
std::vector<QuantizedWeight> quantized_weights(const std::vector<Weight<const float>>& weights, Precision own,
                                               Precision precision);

// `weights`: one for each that a layer of this spec has, whose precision is theirs, in shapes that fit.
Layer<float> quantized_layer(const LayerSpec& spec, std::vector<QuantizedWeight> weights);

// Puts them in the place of a store's weights.
template <class Store>
void take_quantized(Store& store, std::vector<QuantizedWeight> weights) {
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i].matrix.rows > 0) store.quantize(static_cast<int>(i), std::move(weights[i].matrix));
    else std::copy(weights[i].vector.begin(), weights[i].vector.end(), store.writable()[i].data);
  }
}

}  // namespace gru_native
