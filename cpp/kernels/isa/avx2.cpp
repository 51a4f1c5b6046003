#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file for its ISA: see cpp/CMakeLists.txt"
#endif
#define GRU_NATIVE_ISA avx2
#include "kernels/isa/kernels.inc"
