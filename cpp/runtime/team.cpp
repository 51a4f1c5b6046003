#include "runtime/team.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gru_native/runtime.h"
#include "runtime/cores.h"
#include "runtime/locks.h"
#include "spec/limits.h"

namespace gru_native {
namespace {
constexpr int idle_spins = 1000;  // about 40 microseconds, then sleep
}  // namespace

// `size - 1` threads beside the caller of run().
class Team {
 public:
  explicit Team(int size)
      : size_(size),
        cores_(new std::atomic<int>[static_cast<std::size_t>(size)]),
        marks_(new Mark[2 * static_cast<std::size_t>(size)]) {
    for (int rank = 0; rank < size; ++rank) cores_[rank].store(-1, std::memory_order_relaxed);
    threads_.reserve(static_cast<std::size_t>(size) - 1);
    try {
      for (int rank = 1; rank < size; ++rank) threads_.emplace_back([this, rank] { work(rank); });
    } catch (const std::system_error&) {
      size_ = static_cast<int>(threads_.size()) + 1;  // the system gives no more threads: do with fewer
    } catch (...) {
      end();  // no memory for one more; those that have begun use this object
      throw;
    }
  }
  ~Team() { end(); }

  int size() const { return size_; }
  Mark* marks() const { return marks_.get(); }
  bool try_acquire() { return !busy_.test_and_set(std::memory_order_acquire); }
  void release() { busy_.clear(std::memory_order_release); }

  void run(int members, void (*body)(void*, int), void* context) {
    const Membership caller(this, 0);
    settle(0);
    body_ = body;
    context_ = context;
    remaining_.store(members - 1, std::memory_order_relaxed);
    // One word says "a new call" and "for so many", so that those not called need not look further.
    call_.store(((call_.load(std::memory_order_relaxed) >> 16) + 1) << 16 | static_cast<std::uint64_t>(members),
                std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) wake();
    body(context, 0);
    spin_until([this] { return remaining_.load(std::memory_order_acquire) == 0; }, spin_patience(members));
  }

  // The scheduler may wake a member on another one's core, or move it there later, and leave both, so that each waits
  // for the other's turn at every step. Whoever has the higher rank moves.
  void settle(int rank) {
    cores_[rank].store(current_core(), std::memory_order_relaxed);
    affinity_.avoid(cores_.get(), rank);
  }

  // Which team the current thread works for, if any.
  struct Membership {
    Membership(Team* team, int rank) : before(current) { current = {team, rank}; }
    ~Membership() { current = before; }
    struct Place {
      Team* team;
      int rank;
    };
    static thread_local Place current;
    const Place before;
  };

 private:
  static constexpr std::uint64_t stop = ~std::uint64_t(0);

  void end() {
    call_.store(stop, std::memory_order_seq_cst);
    wake();
    for (std::thread& t : threads_) t.join();
  }

  void wake() {
    const std::lock_guard<std::mutex> lock(mutex_);
    changed_.notify_all();
  }

  std::uint64_t next_call(std::uint64_t last) {
    for (int spins = 0; spins < idle_spins; ++spins) {
      const std::uint64_t call = call_.load(std::memory_order_acquire);
      if (call != last) return call;
      pause_briefly();
    }
    std::unique_lock<std::mutex> lock(mutex_);
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    std::uint64_t call;
    while ((call = call_.load(std::memory_order_seq_cst)) == last) changed_.wait(lock);
    sleepers_.fetch_sub(1, std::memory_order_seq_cst);
    return call;
  }

  void work(int rank) {
    const Membership member(this, rank);
    for (std::uint64_t call = 0; (call = next_call(call)) != stop;) {
      const int members = static_cast<int>(call & 0xffff);
      if (rank >= members) continue;
      settle(rank);
      body_(context_, rank);
      remaining_.fetch_sub(1, std::memory_order_release);
    }
  }

  int size_;
  std::vector<std::thread> threads_;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  std::atomic<std::uint64_t> call_{0};
  std::atomic<int> remaining_{0}, sleepers_{0};
  void (*body_)(void*, int) = nullptr;
  void* context_ = nullptr;
  std::unique_ptr<std::atomic<int>[]> cores_;  // of each rank, when it was last seen
  std::unique_ptr<Mark[]> marks_;
  const Affinity affinity_;
  std::mutex mutex_;
  std::condition_variable changed_;
};

thread_local Team::Membership::Place Team::Membership::current{nullptr, 0};

void give_way() {
  look_while_waiting();
  if (const auto& here = Team::Membership::current; here.team) here.team->settle(here.rank);
  std::this_thread::yield();
}

namespace {

int from_environment(const char* name, int least, int most, int otherwise) {
  const char* const text = std::getenv(name);
  if (!text || !*text) return otherwise;
  char* end;
  const long n = std::strtol(text, &end, 10);
  if (*end != 0 || n < least || n > most)
    throw std::invalid_argument(std::string(name) + " is \"" + text + "\"; expected a whole number from " +
                                std::to_string(least) + " to " + std::to_string(most));
  return static_cast<int>(n);
}

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

FoundOnce<int> cores;

// Never destroyed: worker threads may outlive static objects at exit.
struct Registry {
  BriefLock lock;
  std::shared_ptr<Team> team;
  int team_size = 0;
  std::atomic<int> num_threads{
      from_environment("GRU_NATIVE_NUM_THREADS", 1, most_threads, std::min(usable_cores(), most_threads))};
  std::atomic<bool> adaptive{from_environment("GRU_NATIVE_ADAPTIVE_THREADS", 0, 1, 1) == 1};
  Paces paces;

  static Registry& get() {
    return registry.get([] {
      cores.get(usable_cores);  // members of a team, who ask for patience, must not ask for memory
      return Registry();
    });
  }

  std::shared_ptr<Team> current(int size) {
    const auto is_there = [&] { return team && team_size == size; };
    {
      const std::lock_guard<BriefLock> held(lock);
      if (is_there()) return team;
    }
    // This one, or that whose place it takes, ends after the lock, perhaps waiting for its threads.
    std::shared_ptr<Team> other = std::make_shared<Team>(size);
    const std::lock_guard<BriefLock> held(lock);
    if (!is_there()) {
      team.swap(other);
      team_size = size;
    }
    return team;
  }

 private:
  static FoundOnce<Registry> registry;
  // The parent's threads do not exist in a child of fork(): its team is forgotten, not destroyed, which would wait for
  // them.
  static void forget_team() {
    Registry* const r = registry.if_found();
    if (!r) return;
    new (&r->team) std::shared_ptr<Team>;
    r->paces.release();
  }
  struct AtFork {
    AtFork() noexcept { pthread_atfork(nullptr, nullptr, forget_team); }
  };
  static const AtFork at_fork;
};
FoundOnce<Registry> Registry::registry;
const Registry::AtFork Registry::at_fork;

}  // namespace

int spin_patience(int members) { return members > cores.get(usable_cores) ? 0 : 1500; }

namespace {

thread_local ThreadsHere here;
std::atomic_flag other_busy = ATOMIC_FLAG_INIT;

// Others did not give what they had promised. All threads are there, or none begins: members wait for each other.
void run_on_new_threads(int members, void (*body)(void*, int), void* context) {
  enum Word { wait, begin, leave };
  std::atomic<Word> word{wait};
  std::vector<std::thread> threads;
  const auto all = [&](Word said) {
    word.store(said, std::memory_order_release);
    if (said == begin) body(context, 0);
    for (std::thread& t : threads) t.join();
  };
  try {
    threads.reserve(static_cast<std::size_t>(members) - 1);
    for (int rank = 1; rank < members; ++rank)
      threads.emplace_back([&, rank] {
        spin_until([&] { return word.load(std::memory_order_acquire) != wait; }, 0);
        if (word.load(std::memory_order_relaxed) == begin) body(context, rank);
      });
  } catch (...) {
    all(leave);
    throw;
  }
  all(begin);
}

}  // namespace

TeamLease::TeamLease(int wanted, const Repeated& kind) : size_(1) {
  if (wanted < 2) return;  // streams on their own thread ask for no memory and take no lock
  const int limit = get_num_threads();
  wanted = std::min({wanted, limit, here.most});
  if (wanted < 2) return;
  Registry& registry = Registry::get();
  if (kind.of && registry.adaptive.load(std::memory_order_relaxed)) {
    const std::uint64_t key = Paces::key(kind, wanted, here.other);
    const int members = registry.paces.members(key, wanted, now());
    if (members > 0) {
      wanted = members;
      kind_ = key;
      units_ = std::max(kind.units, 1.0);
    }
  }
  if (wanted > 1) acquire(wanted, limit);
  if (size_ != wanted) kind_ = 0;  // how long it takes says nothing
}

// Makes size_ what it can be.
void TeamLease::acquire(int wanted, int limit) {
  if (here.other && here.other->has(here.most)) {
    own_marks_.reset(new (std::nothrow) Mark[2 * static_cast<std::size_t>(wanted)]);
    if (!own_marks_ || other_busy.test_and_set(std::memory_order_acquire)) return;
    marks_ = own_marks_.get();
    other_ = here.other;
    other_team_ = here.most;
    size_ = wanted;
    return;
  }
  try {
    team_ = Registry::get().current(limit);
  } catch (const std::bad_alloc&) {
    return;  // no memory for a team: do without
  }
  if (!team_->try_acquire()) {
    team_.reset();
    return;
  }
  size_ = std::min(wanted, team_->size());
  marks_ = team_->marks();
}

TeamLease::~TeamLease() {
  if (team_) team_->release();
  if (other_) other_busy.clear(std::memory_order_release);
  if (kind_ && spent_ > 0) Registry::get().paces.took(kind_, size_, spent_, units_, now());
}

void TeamLease::run(void (*body)(void* context, int rank), void* context) {
  if (!kind_) return run_all(body, context);
  const std::int64_t before = spent_, begin = now();
  spent_ = -1;
  run_all(body, context);
  if (before >= 0) spent_ = before + now() - begin;
}

void TeamLease::run_all(void (*body)(void*, int), void* context) {
  if (size_ < 2) return body(context, 0);
  struct Call {
    void (*body)(void*, int);
    void* context;
    std::atomic<bool>& ended;
  } call{body, context, ended_};
  const auto as_member = [](void* of_call, int rank) {
    const Call& c = *static_cast<Call*>(of_call);
    const TeamMember member(&c.ended);
    try {
      c.body(c.context, rank);
    } catch (const Interrupted&) {
      c.ended.store(true, std::memory_order_relaxed);
    }
  };
  const TeamMember caller(&ended_);  // while it waits for the others at the end, too
  if (team_) team_->run(size_, as_member, &call);
  else if (!other_->run(other_team_, size_, as_member, &call)) run_on_new_threads(size_, as_member, &call);
  if (ended_.load(std::memory_order_relaxed)) throw Interrupted();
}

ThreadsHere use_threads_here(ThreadsHere threads) {
  threads.most = std::min(std::max(threads.most, 1), most_threads);
  return std::exchange(here, threads);
}

void set_num_threads(int n) {
  if (n < 1 || n > most_threads)
    throw std::invalid_argument("n is " + std::to_string(n) + "; expected a number of threads from 1 to " +
                                std::to_string(most_threads));
  Registry::get().num_threads.store(n);
}

int get_num_threads() { return Registry::get().num_threads.load(); }

void set_adaptive_threads(bool adaptive) { Registry::get().adaptive.store(adaptive); }

bool get_adaptive_threads() { return Registry::get().adaptive.load(); }

}  // namespace gru_native
