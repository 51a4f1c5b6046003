// What calls of decoders may ask for. std::invalid_argument names what is wrong.
#pragma once
#include "gru_native/decoding.h"

namespace gru_native {

template <class T>
void check_call(const CtcDecodingCall<T>& call);

}  // namespace gru_native
