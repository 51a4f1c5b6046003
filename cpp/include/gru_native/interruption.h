/// \file
/// Ending a call before it is done.
#pragma once
#include <atomic>
#include <exception>

#include "gru_native/export.h"

namespace gru_native {

/// What a call throws that was told to end.
class GRU_NATIVE_API Interrupted : public std::exception {
 public:
  const char* what() const noexcept override;
};

/// While it lives, calls that its thread makes can be ended. A long call asks about every 50 milliseconds, on that
/// thread, and if told to end throws Interrupted soon after. Then all is as after any other error: what it was to write
/// holds nothing of use, layers, tapes and models are as before, and so is the state of a stream or of Rtrl. Weights
/// that are being packed, at the end of an edit or before the first call backward, are packed to the end; so are calls
/// that are noexcept.
///
///     std::atomic<bool> cancelled{false};
///     const Interruptible here([](void* flag) { return static_cast<std::atomic<bool>*>(flag)->load(); }, &cancelled);
///     layer.forward(call);  // throws Interrupted once another thread has set the flag
class GRU_NATIVE_API Interruptible {
 public:
  /// \param shall_end Asked whether to end; must not throw. It may make calls of its own.
  /// \param context What it is given.
  Interruptible(bool (*shall_end)(void* context), void* context) noexcept;
  ~Interruptible();  ///< What held before holds again.
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  bool (*before_)(void*);
  void* before_context_;
  std::atomic<bool>* before_team_;
};

}  // namespace gru_native
