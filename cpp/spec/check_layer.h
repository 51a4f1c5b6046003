// What recurrent layers may be, and what their calls may ask for. std::invalid_argument names what is wrong.
#pragma once
#include "gru_native/layer.h"

namespace gru_native {

void check_function(const char* name, const ActivationFunction& f);
// Whether slopes follow from outputs. Below 0 leaky_relu and elu turn round if alpha is negative.
void check_slope(const char* name, const ActivationFunction& f);

// Before a tape is made: whether backward can do with it.
void check_trainable(const LayerSpec& spec);
// Real-time recurrent learning: which layers it knows.
void check_rtrl(const LayerSpec& spec, std::int64_t batch);

template <class T>
void check_call(const LayerSpec& spec, const ForwardCall<T>& call);
// `weights`: how many tensors the layer has.
template <class T>
void check_call(const LayerSpec& spec, const BackwardCall<T>& call, std::int64_t seq_len, std::int64_t batch,
                std::size_t weights);

}  // namespace gru_native
