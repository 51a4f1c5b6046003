// How the sequences of a batch are shared out: whoever is free takes the next one, the costliest first.
#pragma once
#include <algorithm>
#include <atomic>
#include <exception>
#include <vector>

#include "engine/shares.h"
#include "engine/threads.h"
#include "runtime/denormals.h"
#include "runtime/interruption.h"
#include "runtime/team.h"

namespace gru_native {

// f(row) for every row, of which row b costs so many multiply-adds. Throws what any of them throws.
template <class F>
void each_row(const std::vector<double>& costs, const F& f) {
  double macs = 0;
  for (const double cost : costs) macs += cost;
  const std::vector<Index> order = costliest_first(costs);
  const Index rows = static_cast<Index>(costs.size());
  static const char kind = 0;
  TeamLease team(static_cast<int>(std::min<Index>(rows, useful_threads(macs))), {&kind, static_cast<Index>(macs)});
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(team.size()));
  std::atomic<Index> next{team.size()};
  team.run([&](int rank) {
    const FlushDenormals flush;
    try {
      Progress progress;
      for (Index i = rank; i < rows; i = next.fetch_add(1, std::memory_order_relaxed)) {
        const Index row = order[static_cast<std::size_t>(i)];
        progress.add(costs[static_cast<std::size_t>(row)]);
        f(row);
      }
    } catch (const Interrupted&) {
      throw;
    } catch (...) {
      errors[static_cast<std::size_t>(rank)] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace gru_native
