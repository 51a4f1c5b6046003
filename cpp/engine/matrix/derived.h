// What is derived from weights when it is first asked for, in memory that is kept when they change.
#pragma once
#include <mutex>

#include "engine/matrix/lazily.h"
#include "runtime/locks.h"

namespace gru_native {

template <class Value>
class Derived {
 public:
  // reserve() gives the memory, fill(value) writes it; both can be interrupted.
  template <class Reserve, class Fill>
  const Value& get(const Reserve& reserve, const Fill& fill) const {
    const Value& value = value_.get(reserve);
    // A signal handler meanwhile may need it, and then makes it whole: the same numbers.
    const std::lock_guard<MakingLock> lock(filling_);
    if (!filled_) fill(value);
    filled_ = true;
    return value;
  }
  // To be called before the weights are written again.
  void forget() { filled_ = false; }

 private:
  mutable MakingLock filling_;
  mutable bool filled_ = false;
  Lazily<Value> value_;
};

}  // namespace gru_native
