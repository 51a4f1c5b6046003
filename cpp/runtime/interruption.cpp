#include "runtime/interruption.h"

#include <chrono>
#include <utility>

#include "runtime/denormals.h"

namespace gru_native {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto interval = std::chrono::milliseconds(50);

struct Watch {
  bool (*shall_end)(void*) = nullptr;  // null: nobody is asked
  void* context = nullptr;
  bool begun = false;                  // `next` is set
  Clock::time_point next;
  std::atomic<bool>* ended = nullptr;  // of the team that this thread works in
};
thread_local Watch watch;  // NOLINT(bugprone-throwing-static-initialization): none of its members throws

bool told_to_end(Watch& w) noexcept {
  if (!w.shall_end) return false;
  const Clock::time_point now = Clock::now();
  if (std::exchange(w.begun, true)) {
    if (now < w.next) return false;
    const KeepDenormals as_others_do;
    const TeamMember of_none(nullptr);  // calls that it makes are not of our team
    if (w.shall_end(w.context)) return true;
    w.next = Clock::now() + interval;
  } else {
    w.next = now + interval;
  }
  return false;
}

}  // namespace

const char* Interrupted::what() const noexcept { return "the call was interrupted"; }

Interruptible::Interruptible(bool (*shall_end)(void*), void* context) noexcept
    : before_(std::exchange(watch.shall_end, shall_end)),
      before_context_(std::exchange(watch.context, context)),
      before_team_(std::exchange(watch.ended, nullptr)) {
  watch.begun = false;
}
Interruptible::~Interruptible() {
  watch.shall_end = before_;
  watch.context = before_context_;
  watch.ended = before_team_;
}

void look() {
  Watch& w = watch;
  if (w.ended && w.ended->load(std::memory_order_relaxed)) throw Interrupted();
  if (!told_to_end(w)) return;
  if (w.ended) w.ended->store(true, std::memory_order_relaxed);
  throw Interrupted();
}

void look_while_waiting() noexcept {
  Watch& w = watch;
  if (!w.ended || w.ended->load(std::memory_order_relaxed)) return;
  if (told_to_end(w)) w.ended->store(true, std::memory_order_relaxed);
}

Uninterrupted::Uninterrupted() noexcept : shall_end_(std::exchange(watch.shall_end, nullptr)) {}
Uninterrupted::~Uninterrupted() { watch.shall_end = shall_end_; }

bool can_be_interrupted() noexcept { return watch.shall_end != nullptr; }

TeamMember::TeamMember(std::atomic<bool>* ended) noexcept : before_(std::exchange(watch.ended, ended)) {}
TeamMember::~TeamMember() { watch.ended = before_; }

}  // namespace gru_native
