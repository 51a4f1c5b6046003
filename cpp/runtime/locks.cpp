#include "runtime/locks.h"

#include <pthread.h>

#include <new>

namespace gru_native {
namespace {

std::mutex listing;  // constant-initialised: there before any lock is made
ForkedLock* first = nullptr;

}  // namespace

// Before anything can fork: a handler that comes while another thread makes the first lock would come too late.
struct LocksAtFork {
  LocksAtFork() noexcept { pthread_atfork(before, in_parent, in_child); }

  template <class F>
  static void each(const F& f) {
    for (ForkedLock* lock = first; lock; lock = lock->after_) f(*lock);
  }
  static void before() {
    listing.lock();
    each([](ForkedLock& lock) {
      if (lock.kind_ == ForkedLock::Kind::brief) lock.lock();
    });
  }
  static void in_parent() {
    each([](ForkedLock& lock) {
      if (lock.kind_ == ForkedLock::Kind::brief) lock.unlock();
    });
    listing.unlock();
  }
  static void in_child() {
    each([](ForkedLock& lock) {
      if (lock.kind_ == ForkedLock::Kind::brief) lock.unlock();
      else new (&lock.mutex_) std::mutex;
    });
    listing.unlock();
  }
};

namespace { const LocksAtFork at_fork; }  // namespace

ForkedLock::ForkedLock(Kind kind) : kind_(kind) {
  const std::lock_guard<std::mutex> lock(listing);
  after_ = first;
  if (first) first->before_ = this;
  first = this;
}

ForkedLock::~ForkedLock() {
  const std::lock_guard<std::mutex> lock(listing);
  (before_ ? before_->after_ : first) = after_;
  if (after_) after_->before_ = before_;
}

}  // namespace gru_native
