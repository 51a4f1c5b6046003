// What is made when it is first asked for, once, whichever thread asks first.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>

#include "runtime/locks.h"

namespace gru_native {

template <class Value>
class Lazily {
 public:
  template <class Make>
  const Value& get(const Make& make) const {
    if (const Value* const made = value_.load(std::memory_order_acquire)) return *made;
    const std::lock_guard<MakingLock> lock(making_);
    if (const Value* const made = value_.load(std::memory_order_relaxed)) return *made;
    auto own = std::make_unique<const Value>(make());  // can be interrupted
    if (const Value* const made = value_.load(std::memory_order_relaxed))
      return *made;  // by a signal handler meanwhile
    value_.store(own.get(), std::memory_order_release);
    return *own.release();
  }
  Lazily() = default;
  Lazily(const Lazily&) = delete;
  Lazily& operator=(const Lazily&) = delete;
  ~Lazily() { delete value_.load(std::memory_order_relaxed); }

 private:
  mutable MakingLock making_;
  mutable std::atomic<const Value*> value_{nullptr};
};

}  // namespace gru_native
