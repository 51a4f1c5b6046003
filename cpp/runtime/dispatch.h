// Which kernels run: chosen once per process, from the CPU and GRU_NATIVE_ISA.
#pragma once
#include "kernels/table.h"

namespace gru_native {

// Throws std::invalid_argument if GRU_NATIVE_ISA names what cannot run here.
const IsaKernels& active_kernels();

template <class T>
const Kernels<T>& kernels_for();

}  // namespace gru_native
