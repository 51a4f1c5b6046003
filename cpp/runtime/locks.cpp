#include "runtime/locks.h"

#include <pthread.h>

#include <new>

namespace gru_native {
namespace {

std::mutex listing;  // constant-initialised: there before any lock is made
ForkedLock* first = nullptr;
std::uint64_t made = 0;

}  // namespace

// Before anything can fork: a handler that comes while another thread makes the first lock would come too late.
struct LocksAtFork {
  LocksAtFork() noexcept { pthread_atfork(before, in_parent, in_child); }

  using Kind = ForkedLock::Kind;
  template <class F>
  static void each(Kind kind, const F& f) {
    for (ForkedLock* lock = first; lock; lock = lock->after_)
      if (lock->kind_ == kind) f(*lock);
  }
  static constexpr Kind waited[] = {Kind::writing, Kind::together, Kind::brief};

  static void before() {
    listing.lock();
    for (const Kind kind : waited) each(kind, [](ForkedLock& lock) { lock.lock(); });
  }
  static void in_parent() {
    for (const Kind kind : waited) each(kind, [](ForkedLock& lock) { lock.unlock(); });
    listing.unlock();
  }
  static void in_child() {
    each(Kind::lengthy, [](ForkedLock& lock) {
      if (lock.holder_.load(std::memory_order_relaxed) == std::this_thread::get_id()) return;  // it forked meanwhile
      new (&lock.mutex_) std::mutex;
      lock.holder_.store({}, std::memory_order_relaxed);
    });
    in_parent();
  }
};

namespace { const LocksAtFork at_fork; }  // namespace

ForkedLock::ForkedLock(Kind kind) : kind_(kind) {
  const std::lock_guard<std::mutex> lock(listing);
  number_ = ++made;
  after_ = first;  // so the list has the order of before()
  if (first) first->before_ = this;
  first = this;
}

ForkedLock::~ForkedLock() {
  const std::lock_guard<std::mutex> lock(listing);
  (before_ ? before_->after_ : first) = after_;
  if (after_) after_->before_ = before_;
}

}  // namespace gru_native
