// For products with few columns, and for rows of few numbers.
#pragma once
#include <algorithm>
#include <cstring>

#include "engine/shares.h"

namespace gru_native {

// Vectors in a panel of columns that are no gates, of which there are so many vectors: with the least padding.
inline int narrow_width(Index vectors) {
  if (vectors <= 2) return static_cast<int>(vectors);
  return round_up(vectors, 3) < round_up(vectors, 4) ? 3 : 4;
}

// As std::copy_n, which for a few numbers takes longer to call than to copy.
template <class T>
void copy_row(const T* from, Index n, T* to) {
  constexpr Index at_once = 8;
  if (n > 16 * at_once) {
    std::copy_n(from, n, to);
    return;
  }
  Index k = 0;
  for (; k + at_once <= n; k += at_once) std::memcpy(to + k, from + k, at_once * sizeof(T));
  for (; k < n; ++k) to[k] = from[k];
}

}  // namespace gru_native
