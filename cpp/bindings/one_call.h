// Objects whose state a call changes, so that they take one call at a time.
#pragma once
#include <atomic>
#include <stdexcept>
#include <string>

namespace gru_native::bindings {

class OneCall {
 public:
  // For the length of a call; std::runtime_error while there is another one, be it of another thread or of a signal
  // handler. A call that was under way at a fork() is not in the child, which has half of its state: it is refused
  // there for good.
  class Scope {
   public:
    Scope(OneCall& object, const char* what) : object_(object) {
      if (object.busy_.test_and_set(std::memory_order_acquire))
        throw std::runtime_error(std::string(what) + " is in use by another call; expected one call at a time: give " +
                                 "each thread its own");
    }
    ~Scope() { object_.busy_.clear(std::memory_order_release); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    OneCall& object_;
  };

 private:
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
};

}  // namespace gru_native::bindings
