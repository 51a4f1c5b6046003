// How the number of threads adapts, with a clock and a machine of the test's own; and once by real teams.
#include "runtime/pace.h"

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <random>
#include <thread>

#include "gru_native/runtime.h"
#include "runtime/serial.h"
#include "runtime/team.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

constexpr std::int64_t ms = 1'000'000;

// Calls of one kind, one after the other, on a machine that says what they take.
struct Calls {
  using Machine = std::function<double(int members)>;
  Pace pace;
  std::int64_t now = 0;
  int wanted = 2;
  int made = 0, alone = 0, all = 0;  // calls since begin(): on one thread, on as many as wanted
  double spent = 0, slowest = 0;     // nanoseconds
  double units = 100;                // of work in a call

  void begin() { made = alone = all = 0, spent = slowest = 0; }
  int one(const Machine& machine) {
    const int members = pace.members(wanted, now);
    const double ns = machine(members);
    now += static_cast<std::int64_t>(ns);
    pace.took(members, static_cast<std::int64_t>(ns), units, now);
    ++made, alone += members == 1, all += members == wanted;
    spent += ns, slowest = std::max(slowest, ns);
    return members;
  }
  void many(int calls, const Machine& machine) {
    begin();
    for (int i = 0; i < calls; ++i) one(machine);
  }
  void during(std::int64_t time, const Machine& machine) {
    begin();
    for (const std::int64_t end = now + time; now < end;) one(machine);
  }
};

// Work of 100 microseconds in 200 steps, whose members hand over at such a price.
Calls::Machine with_handover(double ns) {
  return [ns](int members) { return 100e3 / members + (members > 1 ? 200 * ns * members : 0); };
}
double near(int members) { return with_handover(50)(members); }
double far(int members) { return with_handover(500)(members); }

void stays_with_more_while_they_are_faster() {
  Calls calls;
  calls.during(1000 * ms, near);
  CHECK(calls.alone <= calls.made / 100, "%d of %d calls on one thread", calls.alone, calls.made);
}

void falls_within_a_few_calls_and_comes_back() {
  Calls calls;
  calls.many(100, near);
  calls.many(8, far);
  CHECK(calls.one(far) == 1, "two threads after 8 slow calls");
  calls.during(2000 * ms, far);
  CHECK(calls.all <= calls.made / 100, "%d of %d slow calls", calls.all, calls.made);
  CHECK(calls.all > 0, "it never tried again");
  CHECK(calls.spent < 1.03 * 100e3 * calls.made, "%.3f of one thread", calls.spent / calls.made / 100e3);
  calls.during(400 * ms, near);  // the longest that it waits
  calls.many(1000, near);
  CHECK(calls.alone <= 10, "%d of %d calls on one thread in the good phase", calls.alone, calls.made);
}

void begins_in_a_bad_phase() {
  Calls calls;
  calls.many(12, with_handover(50e3));  // members on one core: each waits for the other's turn
  CHECK(calls.alone >= 6, "%d of 12", calls.alone);
  CHECK(calls.one(far) == 1, "still two");
}

// The first calls of a program fetch memory, whatever their threads.
void first_calls_are_no_judge() {
  Calls calls;
  const Calls::Machine cold = [&](int members) { return calls.made < 2 ? 60e6 : members > 1 ? 9e6 : 15e6; };
  calls.many(40, cold);
  CHECK(calls.alone <= 3, "%d of 40 on one thread", calls.alone);
}

// What is as fast either way may go either way, but nothing costs 15 %.
void costs_no_more_than_a_seventh(unsigned seed) {
  std::mt19937 random(seed);
  for (double handover = 0; handover < 2000; handover = 1.3 * handover + 20) {
    Calls calls;
    const Calls::Machine exact = with_handover(handover);
    const Calls::Machine noisy = [&](int members) {
      return exact(members) * std::uniform_real_distribution<double>(0.95, 1.1)(random);
    };
    calls.many(1000, noisy);
    calls.during(3000 * ms, noisy);
    const double ratio = calls.spent / calls.made / 100e3;
    CHECK(ratio < 1.1, "%.3f of one thread with hand-overs of %.0f ns", ratio, handover);
    if (handover < 100) CHECK(ratio < 0.5 * exact(2) / 50e3 * 1.1, "%.3f: the gain is lost", ratio);
  }
}

// Somebody else takes one member's core for 3 of every 6 milliseconds: most calls are fast, and some wait.
void calls_that_are_held_up_are_few() {
  Calls calls;
  int held_up = 0, counted = 0;
  const Calls::Machine busy = [&](int members) {
    const std::int64_t phase = calls.now % (6 * ms);
    const bool waits = members > 1 && phase > 3 * ms;
    ++counted, held_up += waits;
    return near(members) + (waits ? static_cast<double>(6 * ms - phase) : 0);
  };
  calls.during(300 * ms, busy);
  counted = held_up = 0;
  calls.during(10000 * ms, busy);
  CHECK(held_up * 100 < counted, "%d of %d calls were held up", held_up, counted);
}

// Where one thread is held up as often, fewer of them do not help.
void all_are_held_up_alike(unsigned seed) {
  Calls calls;
  std::mt19937 random(seed);
  const Calls::Machine busy = [&](int members) { return near(members) + (random() % 60 == 0 ? 4e6 : 0); };
  calls.during(2000 * ms, busy);
  calls.during(10000 * ms, busy);
  CHECK(calls.all * 2 > calls.made, "%d of %d calls on two threads", calls.all, calls.made);
}

void one_slow_call_is_forgiven() {
  Calls calls;
  calls.many(600, near);
  calls.one([](int) { return 5e6; });
  calls.many(10, near);
  CHECK(calls.alone == 0, "%d calls on one thread", calls.alone);
}

// A machine that does a little besides: giving way for good would cost more than waiting now and then.
void what_is_held_up_by_chance_stays(unsigned seed) {
  std::mt19937 random(seed);
  Calls calls;
  calls.during(4000 * ms, [&](int members) { return near(members) + (members > 1 && random() % 600 == 0 ? 2e6 : 0); });
  CHECK(calls.alone * 10 < calls.made, "%d of %d short calls on one thread", calls.alone, calls.made);

  const auto all = [&](int members) { return 100 * near(members) + (members > 1 && random() % 12 == 0 ? 20e6 : 0); };
  Calls of_long;
  of_long.during(20000 * ms, all);
  CHECK(of_long.alone * 10 < of_long.made, "%d of %d long calls on one thread", of_long.alone, of_long.made);
}

// A moment in which nothing was as usual is soon over.
void a_moment_is_soon_over() {
  Calls calls;
  const auto usual = [](int members) { return 4 * near(members); };
  calls.during(500 * ms, usual);
  calls.many(12, [](int members) { return 4 * far(members); });
  CHECK(calls.alone > 0, "12 slow calls on two threads");
  calls.during(60 * ms, usual);
  CHECK(calls.one(usual) == 2, "one thread 60 ms later");
}

// Calls of one kind need not be all short or all long.
void calls_around_half_a_millisecond_come_back() {
  Calls calls;
  int call = 0;
  bool bad = false;
  const Calls::Machine machine = [&](int members) {
    const double alone = std::array<double, 3>{455e3, 525e3, 500e3}[static_cast<std::size_t>(call++ % 3)];
    calls.units = alone / 1e3;
    return members == 1 ? alone : bad ? 2 * alone : alone / 1.7;
  };
  calls.during(500 * ms, machine);
  bad = true;
  calls.during(500 * ms, machine);
  CHECK(calls.alone * 2 > calls.made, "%d of %d slow calls on one thread", calls.alone, calls.made);
  bad = false;
  calls.during(1000 * ms, machine);
  calls.during(5000 * ms, machine);
  CHECK(calls.alone * 20 < calls.made, "%d of %d calls on one thread", calls.alone, calls.made);
}

// Of 16 members that is best which no promise names: it is found from below.
void finds_the_best_of_many() {
  Calls calls;
  calls.wanted = 16;
  calls.during(3000 * ms, far);
  CHECK(calls.spent < 1.05 * 100e3 * calls.made, "%.3f of one thread", calls.spent / calls.made / 100e3);
  calls.during(3000 * ms, with_handover(40));
  calls.during(1000 * ms, with_handover(40));
  const double best = with_handover(40)(4);
  CHECK(calls.spent < 1.15 * best * calls.made, "%.3f of the best", calls.spent / calls.made / best);
  calls.during(3000 * ms, with_handover(1));
  CHECK(calls.all > calls.made / 2, "%d of %d calls on all threads", calls.all, calls.made);
}

// A long call is not made again on one thread to see what that takes, unless it became slow.
void long_calls_are_left_alone() {
  const auto long_call = [](double handover) {
    return [handover](int members) { return 4000 * with_handover(handover)(members); };
  };
  Calls calls;
  calls.many(50, long_call(50));
  CHECK(calls.alone == 0, "%d calls on one thread", calls.alone);
  calls.many(12, long_call(1500));
  CHECK(calls.alone >= 6, "%d of 12 slow calls on one thread", calls.alone);
  calls.during(20000 * ms, long_call(50));
  CHECK(calls.all * 4 > calls.made * 3, "%d of %d long calls on two threads, long after", calls.all, calls.made);
  calls.many(4000, long_call(50));
  CHECK(calls.alone == 0, "%d of %d good long calls on one thread", calls.alone, calls.made);
}

struct Owner {
  Serial serial;
};

// What comes to the address of an owner that is gone does not inherit its times, and neither does a copy.
void each_owner_has_its_own_pace() {
  const auto key = [](const Owner& owner) { return Paces::key({&owner, 10, 1}, 2, nullptr); };
  std::optional<Owner> owner(std::in_place);
  const std::uint64_t gone = key(*owner);
  CHECK(key(*owner) == gone, "not the same key for the same owner");
  const Owner copy = *owner;
  CHECK(key(copy) != gone, "a copy has its key");
  owner.emplace();
  CHECK(key(*owner) != gone, "the next one at its address has its key");
}

void real_teams() {
  set_num_threads(2);
  set_adaptive_threads(true);
  const Owner what;
  const auto call = [&](const Owner* of, int ms_of_more) {
    TeamLease team(2, {of, 10});
    team.run([&](int) { std::this_thread::sleep_for(std::chrono::milliseconds(team.size() > 1 ? ms_of_more : 2)); });
    return team.size();
  };
  int more = 0;
  for (int i = 0; i < 20; ++i) more += call(&what, 8) > 1;
  CHECK(more >= 1 && more <= 10, "%d of 20 calls on two threads", more);
  set_adaptive_threads(false);
  CHECK(call(&what, 2) == 2, "it adapts though it shall not");
  CHECK(TeamLease(2).size() == 2, "what is of no kind does not adapt");
  set_adaptive_threads(true);
}

}  // namespace

int main() {
  stays_with_more_while_they_are_faster();
  falls_within_a_few_calls_and_comes_back();
  begins_in_a_bad_phase();
  first_calls_are_no_judge();
  costs_no_more_than_a_seventh(7);
  calls_that_are_held_up_are_few();
  all_are_held_up_alike(3);
  one_slow_call_is_forgiven();
  what_is_held_up_by_chance_stays(5);
  a_moment_is_soon_over();
  calls_around_half_a_millisecond_come_back();
  finds_the_best_of_many();
  long_calls_are_left_alone();
  each_owner_has_its_own_pace();
  real_teams();
  return done("pace");
}
