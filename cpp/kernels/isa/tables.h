// The table of each ISA; runtime/dispatch.cpp picks one.
#pragma once
#include "kernels/table.h"

namespace gru_native {
namespace baseline { extern const IsaKernels kernels; }
namespace avx2 { extern const IsaKernels kernels; }
namespace avx512 { extern const IsaKernels kernels; }
}  // namespace gru_native
