// Layers for inference with weights of few bits, from floats and from what a file holds.
#pragma once
#include <vector>

#include "engine/matrix/quantization.h"
#include "gru_native/layer.h"

namespace gru_native {

// One weight of a quantized layer or dense layer: a matrix of few bits, or floats for what has one dimension.
struct QuantizedWeight {
  QuantizedMatrix matrix;
  const float* vector = nullptr;
};

// What quantize() makes of a layer's weights. Throws std::invalid_argument as it says.
std::vector<QuantizedWeight> quantized_weights(const std::vector<Weight<const float>>& weights, Precision own,
                                               Precision precision);

// `weights`: one for each that a layer of this spec has, in shapes that fit. The vectors are copied.
Layer<float> quantized_layer(LayerSpec spec, Precision precision, std::vector<QuantizedWeight> weights);

// Puts them in the place of a store's weights.
template <class Store>
void take_quantized(Store& store, std::vector<QuantizedWeight> weights) {
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const Weight<float>& own = store.writable()[i];
    if (weights[i].vector) std::copy_n(weights[i].vector, own.size(), own.data);
    else store.quantize(static_cast<int>(i), std::move(weights[i].matrix));
  }
}

}  // namespace gru_native
