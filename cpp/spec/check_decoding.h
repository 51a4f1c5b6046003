// What calls of decoders may ask for. std::invalid_argument names what is wrong.
#pragma once
#include "gru_native/transducer_decoding.h"

namespace gru_native {

template <class T>
void check_call(const CtcDecodingCall<T>& call);

template <class T>
void check_networks(const TransducerNetworks<T>& networks);
template <class T>
void check_call(const TransducerNetworks<T>& networks, const TransducerDecodingCall<T>& call);

}  // namespace gru_native
