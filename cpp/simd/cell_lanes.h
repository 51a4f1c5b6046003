// What the cells are written on: lanes, which the instrumented build makes count what is done with them.
#pragma once
#include "simd/activations.h"
#if defined(GRU_NATIVE_COUNT)
#include "simd/counted.h"
#else
namespace gru_native::GRU_NATIVE_ISA {
template <class T>
using CellLanes = Lanes<T>;
}
#endif
