// What AttentionDecoder and its tape keep behind their public faces.
#pragma once
#include "engine/decoder/forward.h"
#include "runtime/denormals.h"

namespace gru_native {

template <class T>
struct AttentionDecoder<T>::Impl {
  explicit Impl(const AttentionDecoderSpec& spec);

  AttentionDecoderSpec spec;
  LayerSpec layers;
  WeightStore<T, PackedDecoder<T>> store;
  DecoderIndex index;

  std::shared_ptr<PackedDecoder<T>> reserve() const { return reserve_packed<T>(spec, layers, store.list(), index); }
  void fill(PackedDecoder<T>& packed) const { pack(packed, spec, layers, store.list(), index); }
  std::shared_ptr<const PackedDecoder<T>> current() const { return store.packed(); }
};

// Multiply-adds of one target sequence's step, and the threads that a call is worth. positions: of all memories.
double macs_of_row(const AttentionDecoderSpec& spec, Index positions);
int useful_threads(const AttentionDecoderSpec& spec, Index rows, Index steps, Index positions);

template <class T>
struct AttentionDecoderTape<T>::Impl : TapeOf<PackedDecoder<T>> {
  Impl(TapeOf<PackedDecoder<T>> base, Timeline time, Dropout dropout)
      : TapeOf<PackedDecoder<T>>(std::move(base)), time(std::move(time)), dropout(dropout) {}

  Timeline time;
  Dropout dropout;
  std::vector<std::int64_t> tokens;  // of each compact row
  std::vector<EncodedMemory<T>> memories;
  DecoderValues<T> values;
};

// The user's row of each of the batch.
const Index* user_rows_of(const Timeline& time, Arena& arena);

}  // namespace gru_native
