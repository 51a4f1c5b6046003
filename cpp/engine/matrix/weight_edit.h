// What an open edit of weights holds.
#pragma once
#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/matrix/moment.h"
#include "gru_native/edit.h"
#include "runtime/handle.h"
#include "runtime/interruption.h"
#include "runtime/locks.h"
#include "runtime/memory.h"

namespace gru_native {

// What an edit does at its end. None of it needs memory (where there is none for a team, one thread does it) or gives
// any back: that is for the destructor, when no lock is held.
class EditEnd {
 public:
  virtual ~EditEnd() = default;
  virtual WritingLock& writing() = 0;   // the store's; held during both:
  virtual void fill() noexcept = 0;     // packs what the weights are now
  virtual void publish() noexcept = 0;  // calls compute with that from now on

  void end() noexcept {
    const std::lock_guard<WritingLock> lock(writing());
    const Uninterrupted whole;
    fill();
    publish();
  }
};

// Ends edits as one: see Moment. write() puts the numbers in, while nobody else does; it must not throw.
template <class Write>
void end_together(std::vector<EditEnd*> edits, const Write& write) {
  // All in one order, so that two threads do not wait for each other.
  std::sort(edits.begin(), edits.end(), [](EditEnd* a, EditEnd* b) { return a->writing().before(b->writing()); });
  std::vector<std::unique_lock<WritingLock>> locks;
  locks.reserve(edits.size());
  for (EditEnd* edit : edits)
    if (locks.empty() || locks.back().mutex() != &edit->writing()) locks.emplace_back(edit->writing());
  const Uninterrupted whole;
  write();
  for (EditEnd* edit : edits) edit->fill();
  const Moment::Change change;
  for (EditEnd* edit : edits) edit->publish();
}

template <class T>
struct WeightEdit<T>::Impl : EditEnd {
  explicit Impl(const std::vector<Weight<T>>& weights) : weights(weights) {}
  // For copies of the weights.
  virtual std::shared_ptr<Arena> memory() = 0;

  const std::vector<Weight<T>>& weights;
};

// Of a store with `writable()` and `exchange()`, by a layer with `fill()`: see weights.h.
template <class T, class Store, class Layer, class Packed>
struct OpenEdit final : ImplOf<WeightEdit<T>> {
  OpenEdit(Store& store, const Layer& layer, std::shared_ptr<Packed> reserved)
      : ImplOf<WeightEdit<T>>(store.writable()), store(store), layer(layer), reserved(std::move(reserved)) {}
  std::shared_ptr<Arena> memory() override { return store.edit_memory(); }
  WritingLock& writing() override { return store.writing(); }
  void fill() noexcept override { layer.fill(*reserved); }
  void publish() noexcept override {
    packed = std::move(reserved);
    store.exchange(packed);
  }

  Store& store;
  const Layer& layer;
  std::shared_ptr<Packed> reserved;
  std::shared_ptr<const Packed> packed;  // at the end the one before
};

}  // namespace gru_native
