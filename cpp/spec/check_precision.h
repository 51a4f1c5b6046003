// What can be done with weights of few bits, and what has to be done before. std::invalid_argument names what is wrong.
#pragma once
#include "gru_native/precision.h"

namespace gru_native {

// Of a layer that a constructor makes.
void check_new(Precision precision);
// Of a layer of which `what` is wanted: "train", "edit".
void check_full(Precision own, const char* what);
// Of a layer that is to be quantized.
void check_quantizable(Precision own, Precision wanted);
// Of numbers: only float32 is quantized.
[[noreturn]] void refuse_float64();

}  // namespace gru_native
