#if !defined(__AVX512F__) || !defined(__AVX512DQ__)
#error "compile this file for its ISA: see cpp/CMakeLists.txt"
#endif
#define GRU_NATIVE_ISA avx512
#include "kernels/isa/kernels.inc"
