// What a layer holds besides its mathematics: weights as the user sees them, their packed form, arenas.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gru_native/layer.h"
#include "runtime/dispatch.h"
#include "runtime/handle.h"
#include "runtime/memory.h"

namespace gru_native {

// What every tape holds: weights and arena are those of its call.
template <class Packed>
struct TapeOf {
  std::uint64_t layer_id;
  std::shared_ptr<const Packed> packed;
  ArenaPool::Lease arena;  // holds all that the tape points to
};

template <class T, class Packed>
class WeightStore {
 public:
  WeightStore() : id_(next_id()), arenas_(std::make_shared<ArenaPool>()) {
    active_kernels();  // an impossible GRU_NATIVE_ISA is reported here, before a layer has any weights
  }

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

  ArenaPool::Lease lease() const { return arenas_->lease(); }

  // What a tape needs of its layer, taken at the start of its call.
  TapeOf<Packed> begin_tape() const { return {id_, packed(), lease()}; }
  // Throws std::invalid_argument for a tape of another layer.
  void check(const TapeOf<Packed>& tape) const {
    if (tape.layer_id != id_)
      throw std::invalid_argument("tape was made by another layer; expected a tape of this layer");
  }

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

// Where a weight's gradient goes: null if it is not wanted or there is no such weight.
template <class T>
T* gradient_of(const std::vector<T*>& dweights, int weight) {
  return weight < 0 || dweights.empty() ? nullptr : dweights[static_cast<std::size_t>(weight)];
}

}  // namespace gru_native
