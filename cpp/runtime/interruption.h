// How long calls come to know that they shall end (gru_native/interruption.h). Loops count their work, and look from
// time to time: the thread that made the call asks, the other members of its team see what it was told. Whoever knows
// throws Interrupted, and nobody waits at a barrier for one who has left.
#pragma once
#include <atomic>

#include "gru_native/interruption.h"
#include "simd/index.h"

namespace gru_native {

// Throws Interrupted if the call shall end.
void look();
// The same while waiting for others, who are told, too: it does not throw.
void look_while_waiting() noexcept;

// Work between two looks, in multiply-adds: 20 microseconds to 2 milliseconds.
inline constexpr double macs_between_looks = 2e6;
// Work that is one piece, however large the whole: 1 to 50 milliseconds.
inline constexpr double macs_at_once = 1e8;

// The work of a loop.
class Progress {
 public:
  void add(double macs) {
    macs_ += macs;
    if (macs_ < macs_between_looks) return;
    macs_ = 0;
    look();
  }

 private:
  double macs_ = 0;
};

// f(begin, end) for parts of [begin, end) that are no larger than macs_at_once, in whole granules.
template <class F>
void in_parts(Index begin, Index end, double macs_of_one, Index granule, const F& f) {
  const double all = macs_of_one * static_cast<double>(end - begin);
  if (all < macs_between_looks) return f(begin, end);
  Index at_once = end - begin;
  if (all > macs_at_once) {
    at_once = static_cast<Index>(macs_at_once / macs_of_one) / granule * granule;
    if (at_once < granule) at_once = granule;
  }
  for (Index at = begin; at < end; at += at_once) {
    f(at, end - at < at_once ? end : at + at_once);
    look();
  }
}

// The work of a loop element by element, in multiply-adds: what costs about as long.
inline constexpr double macs_of_copy = 4, macs_of_function = 10;
// And of one that is written to memory which may be new: the system has to clear its page first.
inline constexpr double macs_of_new_number = 40;

// While it lives, this thread neither asks nor ends: for what must be done whole, and where a lock is held that a call
// of whoever is asked might want.
class Uninterrupted {
 public:
  Uninterrupted() noexcept;
  ~Uninterrupted();
  Uninterrupted(const Uninterrupted&) = delete;
  Uninterrupted& operator=(const Uninterrupted&) = delete;

 private:
  bool (*shall_end_)(void*);
};
// Whether calls of this thread can end early at all.
bool can_be_interrupted() noexcept;

// While it lives, this thread is a member of a team that ends when `ended` is set.
class TeamMember {
 public:
  explicit TeamMember(std::atomic<bool>* ended) noexcept;
  ~TeamMember();
  TeamMember(const TeamMember&) = delete;
  TeamMember& operator=(const TeamMember&) = delete;

 private:
  std::atomic<bool>* before_;
};

}  // namespace gru_native
