// What calls of Tree-LSTMs may ask for; whether parents are those of trees is Forest's to check (engine/tree/forest.h).
// std::invalid_argument names what is wrong.
#pragma once
#include "gru_native/tree.h"

namespace gru_native {

template <class T>
void check_call(const TreeSpec& spec, const TreeForwardCall<T>& call);

}  // namespace gru_native
