// The threads that compute. One team per process, made when first needed, asleep when idle.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <system_error>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "runtime/interruption.h"
#include "runtime/pace.h"
#include "spec/limits.h"

namespace gru_native {

inline void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Lets another thread have this core: first by moving off, if another member of the team sits here too, then by
// yielding.
void give_way();

// Waits for a condition that another running thread is about to make true. Giving the core away early would hand it
// to a busy neighbour for milliseconds, so that comes only when the other thread plainly does not run.
template <class Condition>
void spin_until(const Condition& condition, int patience) {
  for (int spins = 0; !condition(); ++spins) {
    if (spins < patience) pause_briefly();
    else give_way();
  }
}

// Spins before the core is given away: about 50 microseconds, or none where there are more members than cores, so
// that somebody must make room.
int spin_patience(int members);

// Threads that belong to somebody else, a team of `team`, and may be used instead of ours.
struct OtherThreads {
  // Whether they are there, now and for this thread.
  bool (*has)(int team);
  // body(rank) for ranks 0 to members - 1 <= team - 1 at once, rank 0 on the calling thread; returns when all are
  // done. False, with nothing done, if they were not there after all.
  bool (*run)(int team, int members, void (*body)(void* context, int rank), void* context);
};

// Which threads calls of the present thread use: at most so many, the calling one included, and whose. Where others
// keep theirs spinning between calls, threads of our own would have to share the cores with them.
struct ThreadsHere {
  int most = most_threads;
  const OtherThreads* other = nullptr;  // a team of `most`; null: our own
};
// Sets them; returns what held before.
ThreadsHere use_threads_here(ThreadsHere threads);

// How often a member of a crew has come to a barrier. A pair of cache lines each: neighbours are prefetched together.
struct alignas(128) Mark {
  std::atomic<std::uint32_t> reached{0};
};

// The team for one call: up to `wanted` threads, the calling one included; fewer if the call is of a kind that has been
// slower with so many of late. Its size is 1 when the team is busy with another call (many callers share the cores by
// not sharing the team), and when there is no memory for one. Safe from any thread and after fork().
class TeamLease {
 public:
  explicit TeamLease(int wanted, const Repeated& kind = {});
  ~TeamLease();
  TeamLease(const TeamLease&) = delete;
  TeamLease& operator=(const TeamLease&) = delete;
  int size() const { return size_; }

  // body(rank) on every member at once, rank 0 on the calling thread; returns when all are done. It must throw nothing
  // but Interrupted, which all then leave it by. Throws what std::thread does, with nothing done, if others do not give
  // the threads that they had promised.
  template <class Body>
  void run(const Body& body) {
    run([](void* b, int rank) { (*static_cast<const Body*>(b))(rank); }, const_cast<Body*>(&body));
  }
  // The same for work in shares that do not wait for each other, body(rank, members): one thread does all of it where
  // the threads that others had promised do not come.
  template <class Body>
  void run_shares(const Body& body) {
    try {
      run([&](int rank) { body(rank, size_); });
    } catch (const std::system_error&) {
      body(0, 1);
    }
  }

 private:
  friend class Crew;
  void acquire(int wanted, int limit);
  void run(void (*body)(void* context, int rank), void* context);
  void run_all(void (*body)(void* context, int rank), void* context);
  std::shared_ptr<class Team> team_;
  int size_;
  Mark* marks_ = nullptr;                 // two for each member
  std::unique_ptr<Mark[]> own_marks_;     // with others' threads
  const OtherThreads* other_ = nullptr;   // if these are they
  int other_team_ = 0;
  std::atomic<bool> ended_{false};        // the call shall end, or a member has left
  std::uint64_t kind_ = 0;                // in the table of paces; 0: not there
  double units_ = 0;
  std::int64_t spent_ = 0;                // nanoseconds; -1: not all was done
};

// The members of a team who work on one thing step by step, and wait for each other in between. Those that share a team
// have marks of their own each. Asks for no memory.
class Crew {
 public:
  Crew() : size_(1), patience_(0), marks_(nullptr), ended_(nullptr) {}  // a thread alone
  explicit Crew(const TeamLease& team) : Crew(team, 0, team.size()) {}
  Crew(const TeamLease& team, int first_mark, int size)
      : size_(size),
        patience_(size > 1 ? spin_patience(size) : 0),
        marks_(team.marks_ ? team.marks_ + first_mark : nullptr),  // a thread alone has none
        ended_(&team.ended_) {
    for (int member = 0; size > 1 && member < size; ++member)
      marks_[member].reached.store(0, std::memory_order_relaxed);
  }
  int size() const { return size_; }

  // Returns when every member has called it as often as this one. What members wrote before is then visible. Throws
  // Interrupted if one has left.
  void barrier(int member) {
    if (size_ == 1) return;
    const std::uint32_t mine = marks_[member].reached.load(std::memory_order_relaxed) + 1;
    marks_[member].reached.store(mine, std::memory_order_release);
    for (int other = 0; other < size_; ++other) {
      const std::atomic<std::uint32_t>& theirs = marks_[other].reached;
      const auto there = [&] { return static_cast<std::int32_t>(theirs.load(std::memory_order_acquire) - mine) >= 0; };
      if (other == member || there()) continue;
      spin_until([&] { return there() || ended_->load(std::memory_order_relaxed); }, patience_);
      if (!there()) throw Interrupted();
    }
  }

 private:
  int size_;
  int patience_;
  Mark* marks_;
  const std::atomic<bool>* ended_;
};

// All members, and two halves that do not wait for each other.
struct Crews {
  explicit Crews(const TeamLease& team)
      : all(team),
        halves{Crew(team, team.size(), team.size() / 2),
               Crew(team, team.size() + team.size() / 2, team.size() - team.size() / 2)} {}
  Crew all, halves[2];
};

}  // namespace gru_native
