// What Layer, Tape and Stream keep behind their public faces.
#pragma once
#include <mutex>

#include "engine/backward.h"
#include "gru_native/stream.h"

namespace gru_native {

template <class T>
struct Layer<T>::Impl {
  Impl(const LayerSpec& spec, std::uint64_t id);

  LayerSpec spec;
  std::uint64_t id;                    // a tape says whose it is by this
  std::vector<Buffer<T>> storage;      // of the weights, in their order
  std::vector<Weight<T>> weights;
  std::vector<WeightIndex> index;      // [layer * directions + direction]
  std::shared_ptr<ArenaPool> arenas;

  std::int64_t layer_input(std::int64_t layer) const {
    return layer == 0 ? spec.input_size : spec.directions() * spec.output_size();
  }
  std::shared_ptr<const PackedWeights<T>> current() const;
  DirectionGradients<T> gradients_of(Index i, const std::vector<T*>& dweights) const;

  mutable std::mutex mutex;            // guards `packed`, which is replaced and never changed
  std::shared_ptr<const PackedWeights<T>> packed;
};

template <class T>
struct Tape<T>::Impl {
  Impl(Timeline time, DropoutMask dropout) : time(std::move(time)), dropout(dropout) {}

  LayerSpec spec;
  std::uint64_t layer_id = 0;
  std::shared_ptr<const PackedWeights<T>> packed;
  Timeline time;
  DropoutMask dropout;
  ArenaPool::Lease arena;              // holds all that `layers` points to
  std::vector<LayerTape<T>> layers;
};

}  // namespace gru_native
