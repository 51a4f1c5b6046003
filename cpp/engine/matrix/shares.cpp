#include "engine/matrix/shares.h"

#include <algorithm>
#include <cmath>

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

namespace {
constexpr double call_macs = 200e3;    // about 10 microseconds on one core: waking another one pays from there on
constexpr double handover_macs = 3e3;  // a barrier costs every member about this for each of the others
constexpr double most_threads = 256;
}  // namespace

int useful_threads(double macs) { return static_cast<int>(std::clamp(macs / call_macs, 1.0, most_threads)); }

int useful_threads(double macs, double step, Index crews) {
  if (macs < call_macs) return 1;
  // step / m + handover * m is least at the root of step / handover.
  const double members = std::max(1.0, std::sqrt(step / handover_macs));
  return static_cast<int>(std::min(most_threads, static_cast<double>(crews) * members));
}

}  // namespace gru_native
