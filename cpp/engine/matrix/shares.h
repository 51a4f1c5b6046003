// How rows are spaced and work is shared out.
#pragma once
#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/table.h"

namespace gru_native {

inline Index divide_up(Index n, Index by) { return (n + by - 1) / by; }
inline Index round_up(Index n, Index to) { return divide_up(n, to) * to; }

// Rows a power of two apart would all fall into the same few sets of the cache: an odd number of lines avoids that.
Index padded_stride(Index columns, Index element_bytes);

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

// The share of `n` things that falls to one member, in whole granules.
struct Share {
  Index begin, end;
};
Share share_of(Index n, Index granule, int member, int members);

// 0 .. costs.size() - 1 in descending order of their costs, of equals the first first.
std::vector<Index> costliest_first(const std::vector<double>& costs);

// The units of some blocks, without the padding of the last.
inline Share units_of(Share blocks, Index lanes, Index hidden) {
  return {std::min(blocks.begin * lanes, hidden), std::min(blocks.end * lanes, hidden)};
}

}  // namespace gru_native
