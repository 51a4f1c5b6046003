// How rows are spaced and work is shared out.
#pragma once
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

// Threads worth using, by multiply-adds: a hand-over between cores must cost less than it saves. For work that is
// shared out once; and for work in steps with barriers between them, `step` of it from one barrier to the next, done by
// so many crews that do not wait for each other.
int useful_threads(double macs);
int useful_threads(double macs, double step, Index crews = 1);

}  // namespace gru_native
