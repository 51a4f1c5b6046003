// What is made when it is first asked for, once, whichever thread asks first.
#pragma once
#include <memory>
#include <mutex>

namespace gru_native {

template <class Value>
class Lazily {
 public:
  template <class Make>
  const Value& get(const Make& make) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!value_) value_ = std::make_unique<const Value>(make());
    return *value_;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::unique_ptr<const Value> value_;
};

}  // namespace gru_native
