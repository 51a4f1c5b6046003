// How many threads a call gets, from how long its like took before. Results do not depend on it, so it may change from
// call to call: where two processors have just come to be far apart, or one core, or are somebody else's, calls go on
// by fewer threads, and try again later.
#pragma once
#include <atomic>
#include <cstdint>

#include "spec/limits.h"

namespace gru_native {

// Of one kind of call. All times are its caller's, in nanoseconds: it has no clock.
class Pace {
 public:
  // Of the next call, which has work for `wanted` members: so many, or half, a quarter and so on, or one.
  int members(int wanted, std::int64_t now);
  // What it took with them, for so many units of work.
  void took(int members, std::int64_t ns, double units, std::int64_t now);

 private:
  static constexpr int levels = 9;  // 1, 2, 4, .. most_threads members
  static_assert(most_threads == 1 << (levels - 1));
  int at(int level) const;
  int best_below() const;
  void enter(int level);
  void fall(std::int64_t now);
  void learn(int level, float time);
  float patience_here() const;
  bool held_up(int level, std::int64_t ns, double units) const;

  int wanted_ = 0, top_ = 0, level_ = 0;
  float time_[levels] = {};  // of a unit of work; 0: not known
  float least_ = 0;          // at the top level
  float looked_ = 0;         // on one thread, for a look
  float debt_ = 0;           // what more members have cost of late, as a share of what they may
  int looks_ = 0;            // calls that are still to be made on one thread, to see what that takes
  int calls_ = 0;            // since the level is what it is
  int since_held_up_ = 0, since_look_ = 0;  // calls
  int gap_before_ = 0;       // calls between the last two that were held up
  int between_alone_ = 0;    // the same on one thread, as a mean
  bool long_ = false;        // a call takes so long that tries are made after fewer of them
  bool settled_ = false;     // a call has been made at this level: what it needs is where its members are
  std::int64_t entered_ = 0, wait_ = 0;
};

// Of which kind a call is: whose, in how many units of work (kinds are told apart by its binary order), and from which
// line of the source, for a layer does more than one thing. Whose: by the serial number of an object or of its store of
// weights, or by the address of a constant, for a function's own kind.
struct Repeated {
  Repeated() = default;
  template <class Owner>
  Repeated(const Owner* owner, std::int64_t amount, int line = __builtin_LINE())
      : Repeated(number_of(owner, 0), amount, line) {}
  Repeated(std::uint64_t whose, std::int64_t amount, int line = __builtin_LINE())
      : of(whose), units(static_cast<double>(amount)), place(line) {}
  std::uint64_t of = 0;  // 0: it is of no kind, and gets the threads that it wants
  double units = 0;
  int place = 0;

 private:
  template <class Owner>
  static auto number_of(const Owner* owner, int) -> decltype(owner->store.serial()) {
    return owner->store.serial();
  }
  template <class Owner>
  static auto number_of(const Owner* owner, long) -> decltype(owner->serial.number) {
    return owner->serial.number;
  }
  static std::uint64_t number_of(const char* kind, int) {
    return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(kind));
  }
};

// The kinds of calls that were made last. Whoever comes while another looks something up does without.
class Paces {
 public:
  // Never 0.
  static std::uint64_t key(const Repeated& call, int wanted, const void* whose_threads);
  // -1: nothing is known, and nothing can be learned.
  int members(std::uint64_t key, int wanted, std::int64_t now);
  void took(std::uint64_t key, int members, std::int64_t ns, double units, std::int64_t now);
  // In a child of fork(): who was at it is not there.
  void release() { busy_.clear(std::memory_order_release); }

 private:
  static constexpr int sets = 128, ways = 4;
  struct Entry {
    std::uint64_t key = 0;
    Pace pace;
  };
  Entry* find(std::uint64_t key);
  bool try_acquire() { return !busy_.test_and_set(std::memory_order_acquire); }

  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  Entry entries_[sets][ways];
  std::uint8_t oldest_[sets] = {};
};

}  // namespace gru_native
