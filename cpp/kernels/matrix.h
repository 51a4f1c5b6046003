// Rows of an internal buffer.
#pragma once
#include "simd/index.h"

namespace gru_native {

// [row][block][lane] or [row][block][slot][lane], padded to whole blocks.
template <class T>
struct Matrix {
  T* base;
  Index stride;
};

}  // namespace gru_native
