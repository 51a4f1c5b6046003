// Locks that are usable in a child of fork(), whatever the parent's other threads were doing. Those threads are not in
// the child, so a std::mutex that one of them held would be waited for forever.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

namespace gru_native {

// What fork() does about a lock. Those that exist are in one list, which their own lock guards: so none may be made or
// destroyed by a thread that holds one for which fork() waits.
class ForkedLock {
 public:
  // fork() waits for the first three, in this order: who holds one may take those behind it, and nothing before it.
  enum class Kind { writing, together, brief, lengthy };
  explicit ForkedLock(Kind kind);
  ~ForkedLock();
  ForkedLock(const ForkedLock&) = delete;
  ForkedLock& operator=(const ForkedLock&) = delete;
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }
  // In which order to take several of one kind.
  bool before(const ForkedLock& other) const { return number_ > other.number_; }

 private:
  friend struct LocksAtFork;
  friend class MakingLock;
  std::mutex mutex_;
  std::atomic<std::thread::id> holder_;  // of a MakingLock
  const Kind kind_;
  std::uint64_t number_;
  ForkedLock *before_ = nullptr, *after_;
};

// Held for a few instructions, in which nobody takes another one or asks for memory. fork() waits until all are
// free, so the child finds what they guard whole.
class BriefLock : public ForkedLock {
 public:
  BriefLock() : ForkedLock(Kind::brief) {}
};

// Held while what several BriefLocks guard becomes other things as one.
class TogetherLock : public ForkedLock {
 public:
  TogetherLock() : ForkedLock(Kind::together) {}
};

// Held while numbers are copied from memory to memory, as weights are when an edit ends; also without asking for
// memory.
class WritingLock : public ForkedLock {
 public:
  WritingLock() : ForkedLock(Kind::writing) {}
};

// Held for as long as a computation takes. fork() does not wait: in the child the lock is free, and what it guards is
// as its holder left it in the middle. So that must make sense at any moment.
class LengthyLock : public ForkedLock {
 public:
  LengthyLock() : ForkedLock(Kind::lengthy) {}
};

// A LengthyLock for what can be interrupted. A signal handler that then runs on the holder's thread may come to the
// same place: the lock lets it in, and what it guards must bear that.
class MakingLock {
 public:
  void lock() {
    const std::thread::id here = std::this_thread::get_id();
    if (lock_.holder_.load(std::memory_order_relaxed) == here) {
      ++again_;
      return;
    }
    lock_.lock();
    lock_.holder_.store(here, std::memory_order_relaxed);
    again_ = 0;
  }
  void unlock() {
    if (again_ > 0) {
      --again_;
      return;
    }
    lock_.holder_.store({}, std::memory_order_relaxed);
    lock_.unlock();
  }

 private:
  LengthyLock lock_;
  int again_ = 0;
};

// A value that is found out once and lives as long as the process. Two who ask first at once both find it, and one
// result is kept: nobody waits, as they would for a static variable of a function. For variables with static storage.
template <class T>
class FoundOnce {
 public:
  template <class Find>
  T& get(const Find& find) {
    T* found = value_.load(std::memory_order_acquire);
    if (found) return *found;
    std::unique_ptr<T> own(new T(find()));
    return value_.compare_exchange_strong(found, own.get(), std::memory_order_acq_rel) ? *own.release() : *found;
  }
  T* if_found() const { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<T*> value_{nullptr};
};

}  // namespace gru_native
