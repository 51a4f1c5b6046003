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

#include "engine/matrix/weight_edit.h"
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

  // A tensor of zeros; returns its place in the list. All are added before the first commit.
  int add(const std::string& name, std::vector<std::int64_t> shape) {
    std::int64_t n = 1;
    for (const std::int64_t size : shape) n *= size;
    storage_.emplace_back(n);
    list_.push_back({name, shape, storage_.back().data()});
    writable_.push_back({name, std::move(shape), storage_.back().data()});
    return static_cast<int>(list_.size()) - 1;
  }
  const std::vector<Weight<const T>>& list() const { return list_; }
  const std::vector<Weight<T>>& writable() { return writable_; }
  const T* data(int weight) const { return list_[static_cast<std::size_t>(weight)].data; }

  // Both by a layer that says how its weights are packed:
  //   std::shared_ptr<Packed> reserve() const;     all the memory that they take
  //   void fill(Packed& packed) const;             the numbers of now; must neither throw nor ask for memory
  template <class Layer>
  void commit(const Layer& layer) {
    const std::shared_ptr<Packed> packed = layer.reserve();
    layer.fill(*packed);
    replace(packed);
  }
  template <class Layer>
  WeightEdit<T> edit(const Layer& layer) {
    using Edit = OpenEdit<T, WeightStore, Layer, Packed>;
    return open_handle<WeightEdit<T>>(std::make_unique<Edit>(*this, layer, layer.reserve()));
  }

  // What calls compute with: replaced by commits and never changed.
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
  std::vector<Weight<const T>> list_;
  std::vector<Weight<T>> writable_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Packed> packed_;
};

// Where a weight's gradient goes: null if it is not wanted or there is no such weight.
template <class T>
T* gradient_of(const std::vector<T*>& dweights, int weight) {
  return weight < 0 || dweights.empty() ? nullptr : dweights[static_cast<std::size_t>(weight)];
}

}  // namespace gru_native
