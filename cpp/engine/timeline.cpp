#include "engine/timeline.h"

#include <algorithm>
#include <numeric>

namespace gru_native {

Timeline::Timeline(Index seq_len, Index batch, const std::int64_t* lengths)
    : seq_len(seq_len), batch(batch), rows(seq_len * batch) {
  if (!lengths || std::all_of(lengths, lengths + batch, [&](std::int64_t n) { return n == seq_len; })) return;
  order.resize(batch);
  std::iota(order.begin(), order.end(), Index(0));
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return lengths[a] > lengths[b]; });
  length.resize(batch);
  for (Index row = 0; row < batch; ++row) length[row] = lengths[order[row]];
  alive_at.resize(seq_len);
  first_at.resize(seq_len + 1);
  Index alive = batch;
  for (Index t = 0; t < seq_len; ++t) {
    while (alive > 0 && length[alive - 1] <= t) --alive;
    alive_at[t] = alive;
    first_at[t + 1] = first_at[t] + alive;
  }
  rows = first_at[seq_len];
}

}  // namespace gru_native
