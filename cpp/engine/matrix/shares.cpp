#include "engine/matrix/shares.h"

#include <algorithm>

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

}  // namespace gru_native
