// What a spec may be, and what a call may ask for: std::invalid_argument names what is wrong. Once per call.
#pragma once
#include "gru_native/model.h"
#include "gru_native/output_rnn.h"

namespace gru_native {

// Of sequences as such, whatever goes through them.
void check_extent(std::int64_t seq_len, std::int64_t batch);
// Of the states of `batch` sequences with so many numbers each.
void check_states(std::int64_t batch, std::int64_t numbers);
// Real-time recurrent learning: which layers it knows.
void check_rtrl(const LayerSpec& spec, std::int64_t batch);

template <class T>
void check_call(const LayerSpec& spec, const ForwardCall<T>& call);
// Before a tape is made: whether backward can do with it.
void check_trainable(const LayerSpec& spec);
// `weights`: how many tensors the layer has.
template <class T>
void check_call(const LayerSpec& spec, const BackwardCall<T>& call, std::int64_t seq_len, std::int64_t batch,
                std::size_t weights);
template <class T>
void check_call(const DenseSpec& spec, const DenseForwardCall<T>& call);
template <class T>
void check_call(const DenseSpec& spec, const DenseBackwardCall<T>& call, std::int64_t seq_len, std::int64_t batch,
                std::size_t weights);
template <class T>
void check_call(const OutputRnnSpec& spec, const OutputRnnForwardCall<T>& call);
template <class T>
void check_call(const OutputRnnSpec& spec, const OutputRnnBackwardCall<T>& call, std::int64_t seq_len,
                std::int64_t batch, std::size_t weights, bool forced);
template <class T>
void check_model(std::int64_t inputs, std::int64_t outputs, const ModelCall<T>& call);
template <class T>
void check_stream(std::int64_t inputs, std::int64_t outputs, const Sequences<const T>& x, const Sequences<T>& y,
                  std::int64_t seq_len, std::int64_t batch);

}  // namespace gru_native
