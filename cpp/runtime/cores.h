// Cores of the machine: how many this process may use, and how a thread moves off one.
#pragma once
#include <atomic>
#if defined(__linux__)
#include <sched.h>
#endif

namespace gru_native {

// Cores that this process may use: its affinity, and the quota of its control group. At least 1.
int usable_cores();

// The core that the calling thread runs on; -1 if the system does not say.
int current_core();

// The cores that the thread which makes this may run on.
class Affinity {
 public:
  Affinity();
  // How many they are; 0 if the system does not say.
  int count() const;
  // Moves the calling thread to where none of the first `count` of `cores` is, if it sits on one of them and there is
  // such a place.
  void avoid(const std::atomic<int>* cores, int count) const;

#if defined(__linux__)
 private:
  cpu_set_t allowed_;
  bool known_;
#endif
};

}  // namespace gru_native
