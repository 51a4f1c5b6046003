// Checks of decoders and of what they are called with.
#pragma once
#include "gru_native/attention_decoder.h"

namespace gru_native {

// What the layers of a decoder are.
LayerSpec layers_of(const AttentionDecoderSpec& spec);

// Throws std::invalid_argument, naming the field.
template <class T>
void check_state(const char* name, const AttentionDecoderSpec& spec, const DecoderState<T>& state);
template <class T>
void check_call(const AttentionDecoderSpec& spec, const DecoderForwardCall<T>& call);
template <class T>
void check_call(const AttentionDecoderSpec& spec, const DecoderBackwardCall<T>& call, std::int64_t seq_len,
                std::int64_t batch, const std::vector<std::int64_t>& memory_len, std::size_t weights);

}  // namespace gru_native
