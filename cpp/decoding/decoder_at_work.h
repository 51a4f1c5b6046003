// A decoder with the memories of a batch, ready to go step by step.
#pragma once
#include <vector>

#include "engine/decoder/decoder.h"
#include "engine/decoder/steps.h"

namespace gru_native {

template <class T>
class DecoderAtWork {
 public:
  // most: rows at once.
  DecoderAtWork(const ImplOf<AttentionDecoder<T>>& decoder, const std::vector<DecoderMemory<const T>>& memory,
                Index batch, Index most)
      : DecoderAtWork(decoder.spec, decoder.current(), decoder.store.serial(), decoder.store.lease(), memory, batch,
                      most) {}
  // With the weights and memories of another one, but not yet started.
  DecoderAtWork(const DecoderAtWork& other, Index batch, Index most)
      : DecoderAtWork(other.spec, other.packed_, other.serial, other.arena_.get_deleter().pool->lease(),
                      views(other.memories()), batch, most) {}
  DecoderAtWork(const DecoderAtWork&) = delete;
  DecoderAtWork& operator=(const DecoderAtWork&) = delete;

  // All sequences from their initial state, a row each.
  void start(Index batch, const DecoderState<const T>& initial) {
    std::vector<Index> all(static_cast<std::size_t>(batch));
    for (Index b = 0; b < batch; ++b) all[static_cast<std::size_t>(b)] = b;
    steps.start(batch, all.data(), initial);
  }
  // The attention weights of a row, which belongs to this sequence, at the last step, behind what is there; 0 past the
  // memory's end.
  void append_weights(std::size_t memory, Index row, Index sequence, std::vector<T>& to) const {
    const T* const weights = steps.weights(memory, row);
    const Index length = memories_[memory].length[sequence];
    to.insert(to.end(), weights, weights + length);
    to.resize(to.size() + static_cast<std::size_t>(positions_[memory] - length));
  }
  // Of all memories one after the other.
  std::vector<T> weights_of(Index row, Index sequence) const {
    std::vector<T> all;
    for (std::size_t m = 0; m < memories_.size(); ++m) append_weights(m, row, sequence, all);
    return all;
  }
  double macs_of_step(Index rows) const { return macs_of_row_ * static_cast<double>(rows); }
  const std::vector<Index>& positions() const { return positions_; }  // of each memory
  std::vector<GivenMemory<T>> memories() const {
    std::vector<GivenMemory<T>> given;
    for (const EncodedMemory<T>& memory : memories_) given.emplace_back(memory, spec.memory_size);
    return given;
  }
  // A decoder with the weights that it has: as those were when it was made, but for biases of its layers, which may be
  // the sums of two.
  std::shared_ptr<AttentionDecoder<T>> decoder() const {
    auto made = std::make_shared<AttentionDecoder<T>>(spec);
    unpack(*packed_, spec, layers_, made->edit().weights(), impl_of(*made).index);
    return made;
  }

 private:
  DecoderAtWork(const AttentionDecoderSpec& spec, std::shared_ptr<const PackedDecoder<T>> packed, std::uint64_t number,
                ArenaPool::Lease arena, const std::vector<DecoderMemory<const T>>& memory, Index batch, Index most)
      : spec(spec),
        serial(number),
        layers_(layers_of(spec)),
        packed_(std::move(packed)),
        arena_(std::move(arena)),
        memories_(reserved(memory, batch)),
        macs_of_row_(macs_of_row(spec, positions_of_all())),
        members(useful_threads(spec, most, 1, positions_of_all())),
        steps(this->spec, layers_, *packed_, memories_, most, members, *arena_) {
    TeamLease team(members, {serial, positions_of_all() * batch});
    Crew crew(team);
    team.run([&](int rank) {
      const FlushDenormals flush;
      for (std::size_t m = 0; m < memories_.size(); ++m)
        encode(this->spec, packed_->attentions[m], memory[m], memories_[m], rank, crew);
    });
  }
  static std::vector<DecoderMemory<const T>> views(const std::vector<GivenMemory<T>>& given) {
    std::vector<DecoderMemory<const T>> views;
    for (const GivenMemory<T>& memory : given) views.push_back(memory.view());
    return views;
  }
  std::vector<EncodedMemory<T>> reserved(const std::vector<DecoderMemory<const T>>& from, Index batch) {
    std::vector<EncodedMemory<T>> memories;
    for (const DecoderMemory<const T>& memory : from) {
      memories.push_back(reserve_memory<T>(spec, memory, batch, *arena_));
      positions_.push_back(memory.seq_len);
    }
    return memories;
  }
  Index positions_of_all() const {
    Index all = 0;
    for (const Index positions : positions_) all += positions;
    return all;
  }

 public:
  const AttentionDecoderSpec spec;
  const std::uint64_t serial;  // the decoder's: its calls are of one kind, whoever makes them (runtime/pace.h)

 private:
  const LayerSpec layers_;
  const std::shared_ptr<const PackedDecoder<T>> packed_;
  const ArenaPool::Lease arena_;
  std::vector<Index> positions_;
  const std::vector<EncodedMemory<T>> memories_;
  const double macs_of_row_;

 public:
  const int members;  // threads that a step is worth
  DecoderSteps<T> steps;
};

}  // namespace gru_native
