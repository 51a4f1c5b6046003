#include "runtime/pace.h"

#include <algorithm>
#include <cmath>

namespace gru_native {
namespace {

// More members are tried again after this time, which doubles while they fail, and after so many calls: those that
// tries cost are fewer than one in a hundred. So many calls of a kind that comes seldom would be minutes: it has so
// many times the time instead, a second at first.
constexpr std::int64_t shortest_wait = 50'000'000, longest_wait = 400'000'000, times_of_rare_calls = 20;
constexpr int calls_between_tries = 512;
// A call that takes longer than this on one thread is a long one. What holds up a few of them costs less than falling
// back does: they are judged by what they cost on the whole, with more patience, and tried again sooner.
constexpr double long_call = 500e3;
constexpr int long_calls_between_tries = 16;
constexpr float patience_of_long_calls = 3;
// Calls of fewer members that more may cost before they give way: after they have proved themselves, and in a try.
constexpr float patience = 1.5f, patience_in_try = 0.5f;
constexpr float most_debt_of_a_call = 1.2f;
// A call that took so many times as long, and that much longer, was held up: somebody else had a member's core. The
// third within so many calls is no chance. But where one thread by itself is held up so often that the 99th percentile
// has it, more members may be, too, as long as they are not held up several times as often.
constexpr float slow = 2.5f;
constexpr double time_slice = 100e3;
constexpr int calls_of_chance = 256, calls_between_held_up = 512, often = 100;
// Calls on one thread, to know what it takes: the first of them fetches the weights. Long calls are not made longer
// without a reason, which is that they have become slow.
constexpr int calls_of_look = 3, calls_between_looks = 1024;
constexpr int calls_to_judge = 8;
constexpr double longest_look = 100e6;
constexpr float suspicious = 2;

constexpr int never = 1 << 30;

}  // namespace

int Pace::at(int level) const { return std::min(wanted_, 1 << level); }

int Pace::best_below() const {
  int best = 0;
  for (int level = 1; level < level_; ++level)
    if (time_[level] > 0 && time_[level] < time_[best]) best = level;
  return best;
}

void Pace::enter(int level) {
  level_ = level;
  calls_ = since_look_ = 0;
  settled_ = false;
  debt_ = 0;
}

int Pace::members(int wanted, std::int64_t now) {
  if (wanted != wanted_) {
    *this = Pace();
    wanted_ = wanted;
    while (at(top_) < wanted) ++top_;
    enter(top_);
    entered_ = now;
    since_held_up_ = gap_before_ = never / 2;
    between_alone_ = calls_between_held_up;
    wait_ = shortest_wait;
  }
  if (looks_ > 0) return 1;
  const std::int64_t waited = now - entered_;
  // After a first fall sooner: it may have been for a moment.
  const std::int64_t between = long_ ? long_calls_between_tries : calls_between_tries * wait_ / longest_wait;
  const bool often_enough = calls_ >= between;
  if (level_ < top_ && waited >= (often_enough ? wait_ : times_of_rare_calls * wait_)) {
    enter(level_ + 1);
    entered_ = now;
    debt_ = 1 - patience_in_try / patience_here();
    since_held_up_ = 0;
    gap_before_ = never / 2;
  }
  return at(level_);
}

void Pace::learn(int level, float time) {
  float& usual = time_[level];
  usual = usual > 0 ? usual + (std::min(time, 2 * usual) - usual) / 8 : time;
}

float Pace::patience_here() const { return long_ ? patience_of_long_calls : patience; }

bool Pace::held_up(int level, std::int64_t ns, double units) const {
  const double usual = static_cast<double>(time_[level]) * units, took = static_cast<double>(ns);
  return usual > 0 && took > static_cast<double>(slow) * usual && took > usual + time_slice;
}

void Pace::fall(std::int64_t now) {
  // Who falls soon after a try should not have tried.
  wait_ = now - entered_ < wait_ ? std::min(2 * wait_, longest_wait) : shortest_wait;
  enter(best_below());
  entered_ = now;
}

void Pace::took(int members, std::int64_t ns, double units, std::int64_t now) {
  const float time = static_cast<float>(static_cast<double>(ns) / units);
  if (looks_ > 0) {
    if (members != 1) return;  // of a call that began before
    --looks_;
    if (looks_ == calls_of_look - 1) return;
    looked_ = looked_ > 0 ? std::min(looked_, time) : time;
    if (looks_ > 0) return;
    learn(0, looked_);
    looked_ = 0;
    settled_ = false;
    // As it has been for long. One call is no reason: the first ones of a program fetch memory, too.
    if (calls_ >= calls_to_judge && time_[level_] > slow * time_[best_below()]) fall(now);
    return;
  }
  if (members != at(level_)) return;
  calls_ = std::min(calls_ + 1, never);
  if (!settled_) {
    settled_ = true;
    return;
  }
  const int against = level_ > 0 ? best_below() : 0;
  const bool waited = held_up(against, ns, units);
  const bool soon =
      waited && since_held_up_ + gap_before_ < (between_alone_ > often ? calls_of_chance : between_alone_ / 6);
  if (level_ == 0 && waited) between_alone_ += (std::min(since_held_up_, calls_between_held_up) - between_alone_) / 8;
  if (level_ == 0 && since_held_up_ == calls_between_held_up) between_alone_ = calls_between_held_up;
  if (waited) gap_before_ = since_held_up_;
  since_held_up_ = waited ? 0 : std::min(since_held_up_ + 1, never / 2);
  learn(level_, time);
  if (time_[0] > 0) long_ = static_cast<double>(time_[0]) * units > long_call;
  if (level_ == 0) return;
  least_ = least_ > 0 && least_ < time ? least_ : time;
  const bool affordable = static_cast<double>(ns) * members < longest_look;
  if (time_[0] == 0) {
    if (affordable || time > suspicious * least_) looks_ = calls_of_look;
    return;
  }
  if (affordable && ++since_look_ >= calls_between_looks) {
    since_look_ = 0;
    looks_ = calls_of_look;
  }

  if (long_ || !waited)
    debt_ = std::max(0.0f, debt_ + std::min(time / time_[against] - 1, most_debt_of_a_call) / patience_here());
  if ((soon && !long_) || debt_ > 1) fall(now);
}

std::uint64_t Paces::key(const Repeated& call, int wanted, const void* whose_threads) {
  std::uint64_t key = 0;
  for (const std::uint64_t part :
       {call.of, static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(whose_threads)),
        static_cast<std::uint64_t>(call.place) << 24 | static_cast<std::uint64_t>(wanted) << 12 |
            static_cast<std::uint64_t>(std::ilogb(std::max(call.units, 1.0)))}) {
    key = (key ^ part) * 0x9e3779b97f4a7c15u;
    key ^= key >> 29;
  }
  return key | 1;
}

Paces::Entry* Paces::find(std::uint64_t key) {
  for (Entry& entry : entries_[key / 2 % sets])
    if (entry.key == key) return &entry;
  return nullptr;
}

int Paces::members(std::uint64_t key, int wanted, std::int64_t now) {
  if (!try_acquire()) return -1;
  Entry* entry = find(key);
  if (!entry) {
    const std::uint64_t set = key / 2 % sets;
    entry = &entries_[set][oldest_[set]];
    oldest_[set] = static_cast<std::uint8_t>((oldest_[set] + 1) % ways);
    *entry = {key, {}};
  }
  const int members = entry->pace.members(wanted, now);
  release();
  return members;
}

void Paces::took(std::uint64_t key, int members, std::int64_t ns, double units, std::int64_t now) {
  if (!try_acquire()) return;
  if (Entry* const entry = find(key)) entry->pace.took(members, ns, units, now);
  release();
}

}  // namespace gru_native
