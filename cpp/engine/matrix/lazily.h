// What is made when it is first asked for, once, whichever thread asks first.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>

#include "runtime/interruption.h"
#include "runtime/locks.h"

namespace gru_native {

template <class Value>
class Lazily {
 public:
  template <class Make>
  const Value& get(const Make& make) const {
    if (const Value* const made = value_.load(std::memory_order_acquire)) return *made;
    const std::lock_guard<LengthyLock> lock(making_);
    const Uninterrupted whole;
    const Value* made = value_.load(std::memory_order_relaxed);
    if (!made) value_.store(made = std::make_unique<const Value>(make()).release(), std::memory_order_release);
    return *made;
  }
  Lazily() = default;
  Lazily(const Lazily&) = delete;
  Lazily& operator=(const Lazily&) = delete;
  ~Lazily() { delete value_.load(std::memory_order_relaxed); }

 private:
  mutable LengthyLock making_;
  mutable std::atomic<const Value*> value_{nullptr};
};

}  // namespace gru_native
