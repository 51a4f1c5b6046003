// Dense layers with weights of few bits.
#pragma once
#include "engine/sequence/quantize.h"
#include "gru_native/dense.h"

namespace gru_native {

// As quantized_layer.
Dense<float> quantized_dense(const DenseSpec& spec, std::vector<QuantizedWeight> weights);

}  // namespace gru_native
