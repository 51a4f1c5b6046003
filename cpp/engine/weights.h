// What a layer holds besides its mathematics: weights as the user sees them, their packed form, arenas.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/outer.h"
#include "gru_native/layer.h"
#include "runtime/memory.h"

namespace gru_native {

template <class T, class Packed>
class WeightStore {
 public:
  WeightStore() : id_(next_id()), arenas_(std::make_shared<ArenaPool>()) {}

  // A tensor of zeros; returns its place in the list.
  int add(const std::string& name, std::vector<std::int64_t> shape) {
    std::int64_t n = 1;
    for (const std::int64_t size : shape) n *= size;
    storage_.emplace_back(n);
    weights_.push_back({name, std::move(shape), storage_.back().data()});
    return static_cast<int>(weights_.size()) - 1;
  }
  const std::vector<Weight<T>>& list() const { return weights_; }
  const T* data(int weight) const { return weights_[static_cast<std::size_t>(weight)].data; }

  // What calls compute with: replaced by commit and never changed.
  std::shared_ptr<const Packed> packed() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return packed_;
  }
  void replace(std::shared_ptr<const Packed> packed) {
    const std::lock_guard<std::mutex> lock(mutex_);
    packed_.swap(packed);
  }

  std::uint64_t id() const { return id_; }  // a tape says whose it is by this
  ArenaPool::Lease lease() const { return arenas_->lease(); }

 private:
  static std::uint64_t next_id() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
  }

  std::uint64_t id_;
  std::shared_ptr<ArenaPool> arenas_;
  std::vector<Buffer<T>> storage_;
  std::vector<Weight<T>> weights_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Packed> packed_;
};

// The most columns of d that share_of gives to one member, for outer_scratch (engine/outer.h).
inline Index largest_share(Index columns, int members) {
  return std::min(columns, columns / members + 2 * outer_granule);
}

// Where a weight's gradient goes: null if it is not wanted or there is no such weight.
template <class T>
T* gradient_of(const std::vector<T*>& dweights, int weight) {
  return weight < 0 || dweights.empty() ? nullptr : dweights[static_cast<std::size_t>(weight)];
}

}  // namespace gru_native
