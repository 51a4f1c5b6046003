// Which kernels run: chosen once per process, from the CPU and GRU_NATIVE_ISA.
#pragma once
#include <vector>

#include "gru_native/precision.h"
#include "kernels/table.h"

namespace gru_native {

// What this CPU can run of what was built, slowest first.
std::vector<const IsaKernels*> runnable_kernels();

// Throws std::invalid_argument if GRU_NATIVE_ISA names what cannot run here.
const IsaKernels& active_kernels();

template <class T>
const Kernels<T>& kernels_for();

// The form of dot product that runs for weights of this precision, int8 or bf16.
const QuantizedKernels& quantized_kernels_for(Precision precision);

// All forms that this CPU can run with the kernels of one ISA.
struct QuantizedForm {
  Precision precision;
  const QuantizedKernels* kernels;
  bool dot;  // uses instructions that not every CPU of this ISA has
};
std::vector<QuantizedForm> quantized_forms(const IsaKernels& isa);

}  // namespace gru_native
