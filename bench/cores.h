// The processors of this machine, one by one, and how far apart they are.
#pragma once
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace cores {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The processors that this process may use.
inline std::vector<int> processors() {
  std::vector<int> list;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) list.push_back(cpu);
  if (list.empty()) list.push_back(0);
  return list;
}

inline void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof set, &set);
}

// Nanoseconds for two cores to hear from each other: each writes a line of its own and waits for the other's. How far
// apart the processors of a virtual machine lie is not theirs to know, and may change from minute to minute.
inline double handover_ns(int one, int other, int batches) {
  struct alignas(128) Line {
    std::atomic<long> round{0};
  } lines[2];
  constexpr long rounds = 1000;
  double best = 1;
  const auto meet = [&](int mine) {
    pin(mine == 0 ? one : other);
    long round = 0;
    for (int batch = 0; batch < batches; ++batch) {
      const double begin = now();
      for (const long end = round + rounds; round < end;) {
        lines[mine].round.store(++round, std::memory_order_release);
        while (lines[1 - mine].round.load(std::memory_order_acquire) < round) {
        }
      }
      if (mine == 0) best = std::min(best, (now() - begin) / rounds);
    }
  };
  std::thread second(meet, 1), first(meet, 0);
  first.join();
  second.join();
  return best * 1e9;
}

}  // namespace cores
