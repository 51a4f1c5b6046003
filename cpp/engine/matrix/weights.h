// What a layer holds besides its mathematics: weights as the user sees them, their packed form, arenas.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/matrix/moment.h"
#include "engine/matrix/quantization.h"
#include "engine/matrix/spare.h"
#include "engine/matrix/weight_edit.h"
#include "gru_native/layer.h"
#include "runtime/dispatch.h"
#include "runtime/handle.h"
#include "runtime/locks.h"
#include "runtime/memory.h"
#include "runtime/serial.h"
#include "spec/check_precision.h"
#include "spec/tensors.h"

namespace gru_native {

// What every tape holds: weights and arena are those of its call.
template <class Packed>
struct TapeOf {
  std::uint64_t layer_id;
  std::shared_ptr<const Packed> packed;
  ArenaPool::Lease arena;  // holds all that the tape points to
};

template <class T, class Packed>
class WeightStore final : public AnyStore {
 public:
  explicit WeightStore(Precision precision = Precision::full)
      : arenas_(std::make_shared<ArenaPool>()), precision_(precision) {
    active_kernels();  // an impossible GRU_NATIVE_ISA is reported here, before a layer has any weights
  }

  // A tensor of zeros, or a place for a matrix of few bits; returns its place in the list. All are added before the
  // first commit.
  int add(const std::string& name, std::vector<std::int64_t> shape) {
    const bool few_bits = precision_ != Precision::full && is_matrix(name, shape);
    std::int64_t n = few_bits ? 0 : 1;
    for (const std::int64_t size : shape) n *= size;
    storage_.emplace_back(n);
    if (precision_ != Precision::full) quantized_.emplace_back();
    list_.push_back({name, shape, storage_.back().data()});
    writable_.push_back({name, std::move(shape), storage_.back().data()});
    return static_cast<int>(list_.size()) - 1;
  }
  // Of weights of few bits, list() has no data; shown() makes floats of them when first asked.
  const std::vector<Weight<const T>>& list() const { return list_; }
  const std::vector<Weight<const T>>& shown() const {
    if (precision_ != Precision::full) widen();
    return list_;
  }
  const std::vector<Weight<T>>& writable() { return writable_; }
  const T* data(int weight) const { return list_[static_cast<std::size_t>(weight)].data; }
  int find(const std::string& name) const {  // -1: there is none
    for (std::size_t i = 0; i < list_.size(); ++i)
      if (list_[i].name == name) return static_cast<int>(i);
    return -1;
  }

  Precision precision() const { return precision_; }
  const std::vector<QuantizedMatrix>& quantized() const { return quantized_; }
  const QuantizedMatrix& quantized_at(int weight) const { return quantized_[static_cast<std::size_t>(weight)]; }
  // Puts a matrix of few bits in its place, before anything is committed.
  void quantize(int weight, QuantizedMatrix matrix) {
    quantized_[static_cast<std::size_t>(weight)] = std::move(matrix);
  }
  // Throws std::invalid_argument for weights of few bits: `what` cannot be done with them.
  void check_full(const char* what) const { gru_native::check_full(precision_, what); }

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
    check_full("edit");
    ++edits_;
    using Edit = OpenEdit<T, WeightStore, Layer, Packed>;
    auto reserved = can_be_refilled<Packed> && often_edited() ? reserve_spare(layer) : layer.reserve();
    return open_handle<WeightEdit<T>>(std::make_unique<Edit>(*this, layer, std::move(reserved)));
  }
  // Memory that was in use before, or that will be used again.
  template <class Layer>
  std::shared_ptr<Packed> reserve_spare(const Layer& layer) {
    std::shared_ptr<Packed> packed = spare_->take();
    return Spare<Packed>::share(packed ? std::move(packed) : layer.reserve(), spare_);
  }

  // What calls compute with: replaced by commits and never changed.
  std::shared_ptr<const Packed> packed() const {
    if (auto weights = Moment::weights_of(*this)) return std::static_pointer_cast<const Packed>(std::move(weights));
    const std::lock_guard<BriefLock> lock(lock_);
    return packed_;
  }
  std::shared_ptr<const void> newest() const override { return packed(); }
  void replace(std::shared_ptr<const Packed> packed) { exchange(packed); }
  void exchange(std::shared_ptr<const Packed>& packed) {
    const std::lock_guard<BriefLock> lock(lock_);
    packed_.swap(packed);
  }

  // A layer that is edited again and again, as in training, keeps the memory that an edit takes for the next one.
  bool often_edited() const { return edits_ > 3; }
  std::shared_ptr<Arena> edit_memory() {
    if (!often_edited()) return std::make_shared<Arena>();
    if (!edit_arenas_) edit_arenas_ = std::make_shared<ArenaPool>();
    return edit_arenas_->lease();
  }

  // Held from the first number that is written until calls compute with it.
  WritingLock& writing() { return writing_; }

  ArenaPool::Lease lease() const { return arenas_->lease(); }

  std::uint64_t serial() const { return serial_.number; }
  // What a tape needs of its layer, taken at the start of its call.
  TapeOf<Packed> begin_tape() const { return {serial_.number, packed(), lease()}; }
  // Throws std::invalid_argument for a tape of another layer.
  void check(const TapeOf<Packed>& tape) const {
    if (tape.layer_id != serial_.number)
      throw std::invalid_argument("tape was made by another layer; expected a tape of this layer");
  }

 private:
  void widen() const {
    if constexpr (std::is_same_v<T, float>) {
      const std::lock_guard<MakingLock> lock(widening_);
      for (std::size_t i = 0; i < quantized_.size(); ++i) {
        if (quantized_[i].rows == 0 || list_[i].data) continue;
        Buffer<T> wide(quantized_[i].size());
        dequantize(quantized_[i], wide.data());
        if (list_[i].data) continue;  // by a signal handler meanwhile
        storage_[i] = std::move(wide);
        list_[i].data = storage_[i].data();
      }
    }
  }

  const Serial serial_;
  std::shared_ptr<ArenaPool> arenas_;
  mutable std::vector<Buffer<T>> storage_;
  mutable std::vector<Weight<const T>> list_;
  std::vector<Weight<T>> writable_;
  WritingLock writing_;
  std::atomic<int> edits_{0};
  std::shared_ptr<ArenaPool> edit_arenas_;
  std::shared_ptr<Spare<Packed>> spare_ = std::make_shared<Spare<Packed>>();
  const Precision precision_;
  std::vector<QuantizedMatrix> quantized_;  // one for each weight, or none at all; without rows: not of few bits
  mutable MakingLock widening_;
  mutable BriefLock lock_;
  std::shared_ptr<const Packed> packed_;
};

// Where a weight's gradient goes: null if it is not wanted or there is no such weight.
template <class T>
T* gradient_of(const std::vector<T*>& dweights, int weight) {
  return weight < 0 || dweights.empty() ? nullptr : dweights[static_cast<std::size_t>(weight)];
}

}  // namespace gru_native
