// Where paths meet: their sum, their product, or their columns side by side.
#pragma once
#include <algorithm>

#include "engine/matrix/matrices.h"
#include "gru_native/operation.h"
#include "simd/executed.h"

namespace gru_native {

// Some rows of one path, the first or a later one, into y, where its columns begin at `from` if they stand side by
// side.
template <class T>
void join_path(BranchSpec::Mark mark, bool first, Rows<const T> path, Index columns, Index from, Matrix<T> y,
               Index begin, Index end) {
  for (Index row = begin; row < end; ++row) {
    const T* const x = row_at(path, row);
    T* const to = y.base + row * y.stride + (mark == BranchSpec::concat ? from : 0);
    if (first || mark == BranchSpec::concat) {
      std::copy_n(x, columns, to);
    } else if (mark == BranchSpec::add) {
      GRU_NATIVE_EXECUTED(add, columns);
      for (Index k = 0; k < columns; ++k) to[k] += x[k];
    } else {
      GRU_NATIVE_EXECUTED(multiply, columns);
      for (Index k = 0; k < columns; ++k) to[k] *= x[k];
    }
  }
}

}  // namespace gru_native
