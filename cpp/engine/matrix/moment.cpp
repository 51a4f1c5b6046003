#include "engine/matrix/moment.h"

#include <atomic>
#include <cstdint>
#include <mutex>

namespace gru_native {
namespace {

// Odd while weights become others, which only the lock's holder does. So who sees one even number before and after has
// seen no change, and takes no lock.
std::atomic<std::uint64_t> changes{0};
// Never destroyed: threads may outlive static objects at exit.
TogetherLock& changing = *new TogetherLock;  // NOLINT(bugprone-throwing-static-initialization): no memory, no library

thread_local Moment* innermost = nullptr;

}  // namespace

Moment::Change::Change() {
  changing.lock();
  changes.fetch_add(1);
}
Moment::Change::~Change() {
  changes.fetch_add(1);
  changing.unlock();
}

Moment::Moment(const std::vector<const AnyStore*>& stores, const void* owner) : outer_(innermost), owner_(owner) {
  weights_.reserve(stores.size());
  const std::uint64_t before = changes.load();
  take(stores);
  if (before % 2 != 0 || changes.load() != before) {
    weights_.clear();
    const std::lock_guard<TogetherLock> lock(changing);
    take(stores);
  }
  innermost = this;
}

// Not always the innermost: coroutines of one thread take turns.
Moment::~Moment() {
  Moment** at = &innermost;
  while (*at != this) at = &(*at)->outer_;
  *at = outer_;
}

void Moment::take(const std::vector<const AnyStore*>& stores) {
  for (const AnyStore* store : stores) weights_.emplace_back(store, store->newest());
}

std::shared_ptr<const void> Moment::weights_of(const AnyStore& store) {
  for (const Moment* moment = innermost; moment; moment = moment->outer_)
    for (const auto& [its, weights] : moment->weights_)
      if (its == &store) return weights;
  return nullptr;
}

Moment* Moment::last_of(const void* owner) {
  Moment* moment = innermost;
  while (moment && moment->owner_ != owner) moment = moment->outer_;
  return moment;
}

}  // namespace gru_native
