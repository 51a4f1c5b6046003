#include "runtime/cores.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "runtime/system_files.h"

namespace gru_native {

#if defined(__linux__)
Affinity::Affinity() : known_(sched_getaffinity(0, sizeof allowed_, &allowed_) == 0) {}

int Affinity::count() const { return known_ ? CPU_COUNT(&allowed_) : 0; }

void Affinity::avoid(const std::atomic<int>* cores, int count) const {
  const int here = current_core();
  bool shared = false;
  cpu_set_t others = allowed_;
  for (int i = 0; i < count; ++i) {
    const int core = cores[i].load(std::memory_order_relaxed);
    shared |= core == here;
    if (core >= 0) CPU_CLR(static_cast<unsigned>(core), &others);
  }
  if (known_ && shared && CPU_COUNT(&others) > 0) sched_setaffinity(0, sizeof others, &others);
}

int current_core() { return sched_getcpu(); }
#else
Affinity::Affinity() = default;
int Affinity::count() const { return 0; }
void Affinity::avoid(const std::atomic<int>*, int) const {}
int current_core() { return -1; }
#endif

namespace {

// Word number `field` of a file of the system.
bool read_number(const char* path, int field, long& value) {
  char text[128];
  if (!read_file(path, text)) return false;
  const char* at = text;
  for (int i = 0; i < field; ++i) at += std::strcspn(at, " \n"), at += std::strspn(at, " \n");
  char* end;
  value = std::strtol(at, &end, 10);
  return end != at && (*end == 0 || *end == ' ' || *end == '\n');
}

// The CPU quota of the control group, in whole cores; 0: none. Version 2, then 1.
long quota_in_cores() {
  long quota, period;
  const bool known =
      (read_number("/sys/fs/cgroup/cpu.max", 0, quota) && read_number("/sys/fs/cgroup/cpu.max", 1, period)) ||
      (read_number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", 0, quota) &&
       read_number("/sys/fs/cgroup/cpu/cpu.cfs_period_us", 0, period));
  return known && quota > 0 && period > 0 ? (quota + period - 1) / period : 0;
}

}  // namespace

int usable_cores() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  if (const int allowed = Affinity().count()) cores = allowed;
  if (const long quota = quota_in_cores()) cores = static_cast<int>(std::min<long>(cores, quota));
  return std::max(cores, 1);
}

}  // namespace gru_native
