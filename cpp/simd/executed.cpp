#include "simd/executed.h"

#include <atomic>

namespace gru_native {
namespace { std::atomic<std::int64_t> counts[work_kinds]; }  // namespace

__thread std::ptrdiff_t units_at_hand = 0;

void count_work(Work work, std::int64_t n) { counts[static_cast<int>(work)].fetch_add(n, std::memory_order_relaxed); }
std::int64_t executed(Work work) { return counts[static_cast<int>(work)].load(); }
void reset_executed() {
  for (auto& count : counts) count.store(0);
}

}  // namespace gru_native
