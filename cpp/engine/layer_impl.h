// What Layer, Tape and Stream keep behind their public faces.
#pragma once
#include "engine/backward.h"
#include "engine/weights.h"
#include "gru_native/stream.h"

namespace gru_native {

template <class T>
struct Layer<T>::Impl {
  explicit Impl(const LayerSpec& spec);

  LayerSpec spec;
  WeightStore<T, PackedWeights<T>> store;
  std::vector<WeightIndex> index;      // [layer * directions + direction]

  std::int64_t layer_input(std::int64_t layer) const {
    return layer == 0 ? spec.input_size : spec.directions() * spec.output_size();
  }
  std::shared_ptr<const PackedWeights<T>> current() const { return store.packed(); }
  DirectionGradients<T> gradients_of(Index i, const std::vector<T*>& dweights) const;
};

template <class T>
struct Tape<T>::Impl : TapeOf<PackedWeights<T>> {
  Impl(TapeOf<PackedWeights<T>> base, const LayerSpec& spec, Timeline time, DropoutMask dropout, Draw draw)
      : TapeOf<PackedWeights<T>>(std::move(base)),
        spec(spec),
        time(std::move(time)),
        dropout(dropout),
        draw(draw),
        layers(static_cast<std::size_t>(spec.num_layers)) {}

  LayerSpec spec;
  Timeline time;
  DropoutMask dropout;
  Draw draw;
  std::vector<LayerTape<T>> layers;
};

}  // namespace gru_native
