// What calls of losses may ask for. std::invalid_argument names what is wrong.
#pragma once
#include <cstdint>
#include <string>

#include "gru_native/losses.h"

namespace gru_native {

template <class T>
void check_call(const CrossEntropyCall<T>& call);
template <class T>
void check_call(const CtcCall<T>& call);
template <class T>
void check_call(const TransducerCall<T>& call);

// The error for logits whose softmax is not defined. `where`: the row that is to blame.
[[noreturn]] void refuse_logits(const std::string& where);

}  // namespace gru_native
