#include "engine/shares.h"

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

ProductShare share_of_product(Index rows, Index panels, int member, int members) {
  constexpr Index few_rows = 64;   // of a member: a block of the product
  constexpr Index least_rows = 3;  // fewer take as long: it is the weights that are waited for
  const auto cost = [=](Index r, Index p) { return std::max(r, least_rows) * p; };
  const bool by_panels = members > 1 && panels > 1 && rows < few_rows * members &&
                         cost(rows, divide_up(panels, members)) <= cost(divide_up(rows, members), panels);
  if (by_panels) return {{0, rows}, share_of(panels, 1, member, members), false};
  return {share_of(rows, 1, member, members), {0, panels}, true};
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
