// Sequences' layers for inference with weights of few bits (engine/matrix/few_bits.h).
#pragma once
#include <vector>

#include "engine/matrix/few_bits.h"
#include "gru_native/layer.h"
#include "gru_native/output_rnn.h"

namespace gru_native {

// `weights`: one for each that a layer of this spec has, whose precision is theirs, in shapes that fit.
Layer<float> quantized_layer(const LayerSpec& spec, std::vector<QuantizedWeight> weights);
OutputRnn<float> quantized_layer(const OutputRnnSpec& spec, std::vector<QuantizedWeight> weights);

}  // namespace gru_native
