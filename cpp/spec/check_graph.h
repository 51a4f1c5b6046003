// What calls of graph networks and of their readouts may ask for; which nodes edges join is EdgeLists' to check
// (engine/graph/edges.h). std::invalid_argument names what is wrong.
#pragma once
#include "gru_native/graph.h"
#include "gru_native/readout.h"

namespace gru_native {

template <class T>
void check_call(const GraphSpec& spec, const GraphForwardCall<T>& call);
template <class T>
void check_call(const ReadoutSpec& spec, const ReadoutForwardCall<T>& call);

}  // namespace gru_native
