// What calls of dense layers may ask for. std::invalid_argument names what is wrong.
#pragma once
#include "gru_native/dense.h"

namespace gru_native {

template <class T>
void check_call(const DenseSpec& spec, const DenseForwardCall<T>& call);
// `weights`: how many tensors the layer has.
template <class T>
void check_call(const DenseSpec& spec, const DenseBackwardCall<T>& call, std::int64_t seq_len, std::int64_t batch,
                std::size_t weights);

}  // namespace gru_native
