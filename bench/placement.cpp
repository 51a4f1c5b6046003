// Where the first two processors are, just now. The processors of a virtual machine are threads of its host, which may
// put both on one core for a while, or far apart. For each line of input one of JSON: how many times the work of one
// processor both do together, and how long they take to hear from each other.
#include <cstdio>

#include "cores.h"

namespace {

volatile float sink;

// Sums that do not wait for each other: as many as the units of one core can take.
void work() {
  typedef float V __attribute__((vector_size(16)));
  constexpr int chains = 10;
  V sum[chains], x = {0.5f, 0.5f, 0.5f, 0.5f};
  for (V& s : sum) s = x;
  for (int r = 0; r < 20000; ++r) {
    asm volatile("" : "+x"(x));
#pragma GCC unroll 10
    for (V& s : sum) s = s * x + x;
  }
  for (int c = 1; c < chains; ++c) sum[0] += sum[c];
  sink = sum[0][0];
}

double seconds_on(int cpu) {
  double best = 1;
  std::thread([&] {
    cores::pin(cpu);
    for (int i = 0; i < 3; ++i) {
      const double begin = cores::now();
      work();
      best = std::min(best, cores::now() - begin);
    }
  }).join();
  return best;
}

}  // namespace

int main() {
  const std::vector<int> cpus = cores::processors();
  while (std::getchar() != EOF) {
    if (cpus.size() < 2) {
      std::printf("{\"together\": 1, \"handover_ns\": 0}\n");
    } else {
      const double alone = seconds_on(cpus[0]);
      double other = 0;
      std::thread second([&] { other = seconds_on(cpus[1]); });
      const double both = seconds_on(cpus[0]);
      second.join();
      std::printf("{\"together\": %.2f, \"handover_ns\": %.1f}\n", 2 * alone / std::max(both, other),
                  cores::handover_ns(cpus[0], cpus[1], 3));
    }
    std::fflush(stdout);
  }
}
