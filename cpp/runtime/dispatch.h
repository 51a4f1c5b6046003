// Which kernels run: chosen once per process, from the CPU and GRU_NATIVE_ISA.
#pragma once
#include <vector>

#include "kernels/table.h"

namespace gru_native {

// What this CPU can run of what was built, slowest first.
std::vector<const IsaKernels*> runnable_kernels();

// Throws std::invalid_argument if GRU_NATIVE_ISA names what cannot run here.
const IsaKernels& active_kernels();

template <class T>
const Kernels<T>& kernels_for();

}  // namespace gru_native
