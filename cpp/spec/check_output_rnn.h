// What calls of networks that feed back their outputs may ask for. std::invalid_argument names what is wrong.
#pragma once
#include "gru_native/output_rnn.h"

namespace gru_native {

template <class T>
void check_call(const OutputRnnSpec& spec, const OutputRnnForwardCall<T>& call);
// `weights`: how many tensors the layer has. forced: whether forward had targets.
template <class T>
void check_call(const OutputRnnSpec& spec, const OutputRnnBackwardCall<T>& call, std::int64_t seq_len,
                std::int64_t batch, std::size_t weights, bool forced);

}  // namespace gru_native
