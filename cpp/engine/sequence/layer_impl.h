// What Layer, Tape and Stream keep behind their public faces.
#pragma once
#include "engine/matrix/weights.h"
#include "engine/sequence/direction_backward.h"
#include "engine/sequence/dropout.h"
#include "gru_native/stream.h"
#include "runtime/locks.h"

namespace gru_native {

template <class T>
struct Layer<T>::Impl {
  explicit Impl(const LayerSpec& spec);

  LayerSpec spec;
  WeightStore<T, PackedWeights<T>> store;
  std::vector<WeightIndex> index;      // [layer * directions + direction]
  LengthyLock loading;                 // held by load()
  bool half_loaded = false;            // copied, but not committed

  std::shared_ptr<PackedWeights<T>> reserve() const { return reserve_packed(spec, store.list(), index); }
  void fill(PackedWeights<T>& packed) const { pack(packed, spec, store.list(), index); }
  std::shared_ptr<const PackedWeights<T>> current() const { return store.packed(); }
  void sum_initial_gradients(const Tape<T>& tape, const States<T>& dinitial, const std::vector<T*>& dweights) const;
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
  bool learned_h = false, learned_c = false;  // the initial state: none was given
  std::vector<LayerTape<T>> layers;
};

}  // namespace gru_native
