#if !defined(__SSE4_2__) && !defined(__aarch64__)
#error "compile this file for its ISA: see cpp/CMakeLists.txt"
#endif
#define GRU_NATIVE_ISA baseline
#include "kernels/isa/kernels.inc"
