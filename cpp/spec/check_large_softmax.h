// What calls of softmax layers over large vocabularies may ask for. std::invalid_argument names what is wrong.
#pragma once
#include "gru_native/large_softmax.h"

namespace gru_native {

template <class T>
void check_call(const LargeSoftmaxSpec& spec, const LargeSoftmaxCall<T>& call);
template <class T>
void check_call(const LargeSoftmaxSpec& spec, const LogProbabilityCall<T>& call);
template <class T>
void check_call(const LargeSoftmaxSpec& spec, const TopWordsCall<T>& call);

}  // namespace gru_native
