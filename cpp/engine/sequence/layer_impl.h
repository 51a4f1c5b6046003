// What Layer, Tape and Stream keep behind their public faces.
#pragma once
#include <mutex>

#include "engine/matrix/weights.h"
#include "engine/sequence/direction_backward.h"
#include "engine/sequence/dropout.h"
#include "gru_native/stream.h"
#include "runtime/locks.h"

namespace gru_native {

// Packed weights that nobody computes with any more, to write the next ones into: making room anew takes
// longer than the packing. Tapes may outlive the layer, so it is shared with them.
template <class T>
class SpareWeights {
 public:
  std::unique_ptr<PackedWeights<T>> take() {
    const std::lock_guard<BriefLock> lock(lock_);
    return std::move(one_);
  }
  // What returns to `spare` when the last one lets go of it.
  static std::shared_ptr<PackedWeights<T>> share(std::unique_ptr<PackedWeights<T>> packed,
                                                 const std::shared_ptr<SpareWeights>& spare) {
    return {packed.release(), [spare](PackedWeights<T>* last) {
              std::unique_ptr<PackedWeights<T>> unused(last);  // one of both dies after the lock
              const std::lock_guard<BriefLock> lock(spare->lock_);
              spare->one_.swap(unused);
            }};
  }

 private:
  BriefLock lock_;
  std::unique_ptr<PackedWeights<T>> one_;
};

template <class T>
struct Layer<T>::Impl {
  explicit Impl(const LayerSpec& spec);

  LayerSpec spec;
  WeightStore<T, PackedWeights<T>> store;
  std::vector<WeightIndex> index;      // [layer * directions + direction]
  LengthyLock loading;                 // held by load()
  bool half_loaded = false;            // copied, but not committed
  std::shared_ptr<SpareWeights<T>> spare = std::make_shared<SpareWeights<T>>();

  std::shared_ptr<PackedWeights<T>> reserve() const {
    if (store.often_edited()) return reserve_spare();
    return reserve_packed(spec, store.list(), index);
  }
  std::shared_ptr<PackedWeights<T>> reserve_spare() const {
    auto packed = spare->take();
    if (!packed) packed = reserve_packed(spec, store.list(), index);
    return SpareWeights<T>::share(std::move(packed), spare);
  }
  void fill(PackedWeights<T>& packed) const { pack(packed, spec, store.list(), index); }
  std::shared_ptr<const PackedWeights<T>> current() const { return store.packed(); }
  DirectionGradients<T> gradients_of(Index i, const std::vector<T*>& dweights) const;
};

template <class T>
struct Tape<T>::Impl : TapeOf<PackedWeights<T>> {
  Impl(TapeOf<PackedWeights<T>> base, const LayerSpec& spec, Timeline time, Dropout dropout, Draw draw)
      : TapeOf<PackedWeights<T>>(std::move(base)),
        spec(spec),
        time(std::move(time)),
        dropout(dropout),
        draw(draw),
        layers(static_cast<std::size_t>(spec.num_layers)) {}

  LayerSpec spec;
  Timeline time;
  Dropout dropout;
  Draw draw;
  bool hold = false;           // MaskedOutput::hold
  std::vector<LayerTape<T>> layers;
};

}  // namespace gru_native
