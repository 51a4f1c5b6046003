#include "engine/sequence/timeline.h"

#include <algorithm>
#include <numeric>

namespace gru_native {

Timeline::Timeline(Index seq_len, Index batch, const std::int64_t* lengths)
    : seq_len(seq_len), batch(batch), rows(seq_len * batch), user_len(seq_len) {
  if (!lengths || std::all_of(lengths, lengths + batch, [&](std::int64_t n) { return n == seq_len; })) return;
  order.resize(batch);
  std::iota(order.begin(), order.end(), Index(0));
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return lengths[a] > lengths[b]; });
  length.resize(batch);
  for (Index row = 0; row < batch; ++row) length[row] = lengths[order[row]];
  count_alive();
}

void Timeline::count_alive() {
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

void Timeline::restart(const Index* lengths, Index count) {
  seq_len = user_len = lengths[0];
  batch = count;
  rows = seq_len * batch;
  length.clear();
  if (lengths[count - 1] == seq_len) return;
  length.assign(lengths, lengths + count);
  count_alive();
}

Timeline::Timeline(Index user_len, Index batch, const std::int64_t* lengths, const Sequences<const std::uint8_t>& mask)
    : Timeline(user_len, batch, lengths) {
  if (!mask.data) return;
  const auto end_of = [&](Index b) { return lengths ? lengths[b] : user_len; };
  const auto each_step = [&](Index b, auto each) {
    for (Index t = 0; t < end_of(b); ++t)
      if (mask.data[t * mask.step_stride + b * mask.batch_stride]) each(t);
  };
  std::vector<std::int64_t> counts(batch);
  bool any = false;
  for (Index b = 0; b < batch; ++b) {
    each_step(b, [&](Index) { ++counts[b]; });
    any = any || counts[b] < end_of(b);
  }
  if (!any) return;
  *this = Timeline(user_len, batch, counts.data());
  seq_len = std::max<Index>(1, length[0]);
  alive_at.resize(seq_len);
  first_at.resize(seq_len + 1);
  step.resize(rows);
  end.resize(batch);
  for (Index row = 0; row < batch; ++row) {
    end[row] = end_of(order[row]);
    Index t = 0;
    each_step(order[row], [&](Index at) { step[first(t++) + row] = at; });
  }
}

Share rows_of_member(const Timeline& time, Share steps, int member, int members) {
  if (!time.ragged()) return share_of(time.batch, 1, member, members);
  Index all = 0;
  for (Index t = steps.begin; t < steps.end; ++t) all += time.alive(t);
  const auto edge = [&](int m) {
    Index row = 0;
    for (Index before = 0; row < time.batch && before < all * m / members; ++row)
      before += std::max<Index>(0, std::min(time.length[row], steps.end) - steps.begin);
    return row;
  };
  return {edge(member), member + 1 == members ? time.batch : edge(member + 1)};
}

}  // namespace gru_native
