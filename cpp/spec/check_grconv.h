// What calls of gated recursive convolutions may ask for. std::invalid_argument names what is wrong.
#pragma once
#include "gru_native/grconv.h"

namespace gru_native {

template <class T>
void check_call(const GrConvSpec& spec, const GrConvForwardCall<T>& call);

}  // namespace gru_native
