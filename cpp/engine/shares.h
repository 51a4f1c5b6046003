// How rows are spaced and work is shared out.
#pragma once
#include <algorithm>
#include <vector>

#include "kernels/table.h"

namespace gru_native {

inline Index divide_up(Index n, Index by) { return (n + by - 1) / by; }
inline Index round_up(Index n, Index to) { return divide_up(n, to) * to; }

// Rows a power of two apart would all fall into the same few sets of the cache: an odd number of lines avoids that.
Index padded_stride(Index columns, Index element_bytes);

// The share of `n` things that falls to one member, in whole granules.
struct Share {
  Index begin, end;
};
Share share_of(Index n, Index granule, int member, int members);

// What of a product falls to one member: some rows of all panels or, of few rows, some panels of all rows. Then each
// weight is read by one member only.
struct ProductShare {
  Share rows, panels;
  bool by_rows;
  bool empty() const { return rows.begin == rows.end || panels.begin == panels.end; }
};
ProductShare share_of_product(Index rows, Index panels, int member, int members);

// 0 .. costs.size() - 1 in descending order of their costs, of equals the first first.
std::vector<Index> costliest_first(const std::vector<double>& costs);

// The units of some blocks, without the padding of the last.
inline Share units_of(Share blocks, Index lanes, Index hidden) {
  return {std::min(blocks.begin * lanes, hidden), std::min(blocks.end * lanes, hidden)};
}

}  // namespace gru_native
