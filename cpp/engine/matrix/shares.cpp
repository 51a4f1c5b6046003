#include "engine/matrix/shares.h"

#include <algorithm>
#include <numeric>

namespace gru_native {

Index padded_stride(Index columns, Index element_bytes) {
  const Index line = 64 / element_bytes;
  columns = round_up(columns, line);
  return columns % (8 * line) == 0 ? columns + line : columns;
}

Share share_of(Index n, Index granule, int member, int members) {
  if (members == 1) return {0, n};
  const Index granules = divide_up(n, granule);
  const auto edge = [&](int m) { return std::min(granules * m / members * granule, n); };
  return {edge(member), edge(member + 1)};
}

std::vector<Index> costliest_first(const std::vector<double>& costs) {
  std::vector<Index> order(costs.size());
  std::iota(order.begin(), order.end(), Index(0));
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
    return costs[static_cast<std::size_t>(a)] > costs[static_cast<std::size_t>(b)];
  });
  return order;
}

}  // namespace gru_native
