// What calls of decoders may ask for. std::invalid_argument names what is wrong.
#pragma once
#include "gru_native/generation.h"
#include "gru_native/transducer_decoding.h"

namespace gru_native {

template <class T>
void check_call(const CtcDecodingCall<T>& call);

template <class T>
void check_call(const AttentionDecoderSpec& spec, const GenerationCall<T>& call);
// Where nothing follows a step of this sequence: throws if its memory is to blame.
template <class T>
void refuse_memory(const AttentionDecoderSpec& spec, const GenerationCall<T>& call, std::int64_t sequence);
// live: hypotheses of each sequence that are under way at once.
template <class T>
void check_hypotheses(const AttentionDecoderSpec& spec, const GenerationCall<T>& call, std::int64_t live);
template <class T>
void check_networks(const TransducerNetworks<T>& networks);
template <class T>
void check_call(const TransducerNetworks<T>& networks, const TransducerDecodingCall<T>& call);

}  // namespace gru_native
