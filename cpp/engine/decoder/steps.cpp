#include "engine/decoder/steps.h"

#include <algorithm>

#include "runtime/denormals.h"

namespace gru_native {

template <class T>
DecoderSteps<T>::DecoderSteps(const AttentionDecoderSpec& spec, const LayerSpec& layers,
                              const PackedDecoder<T>& weights, const std::vector<EncodedMemory<T>>& memories,
                              Index most, int members, Arena& arena)
    : spec_(spec),
      layers_(layers),
      memories_(memories),
      ones_(static_cast<std::size_t>(most), 1),
      memory_of_(static_cast<std::size_t>(most), 0),
      old_memory_of_(memory_of_),
      time_(1, most, nullptr),
      forward_(spec, layers, weights, memories, memory_of_.data(), time_, 1, false, Dropout(), members, arena),
      from_(make_store(most, false)) {
  forward_.reserve_choice(arena);
}

template <class T>
typename DecoderSteps<T>::Store DecoderSteps<T>::make_store(Index most, bool weights) const {
  const auto room = [&](Index columns) { return std::vector<T>(static_cast<std::size_t>(most * columns)); };
  Store s;
  s.h = room(layers_.num_layers * layers_.hidden_size);
  if (layers_.has_c()) s.c = room(layers_.num_layers * layers_.hidden_size);
  s.state.layers = {s.h.data(), layers_.has_c() ? s.c.data() : nullptr};
  if (spec_.attention != Attention::none) s.context = room(spec_.context_size());
  if (spec_.attention != Attention::none) s.state.context = s.context.data();
  const bool all = weights ? spec_.attention != Attention::none : spec_.attention == Attention::location;
  for (std::size_t m = 0; all && m < memories_.size(); ++m) {
    s.weights.push_back(room(memories_[m].seq_len));
    s.state.weights.push_back(s.weights.back().data());
  }
  s.read = {s.state.layers, s.state.context, {s.state.weights.begin(), s.state.weights.end()}};
  return s;
}

template <class T>
void DecoderSteps<T>::set_rows(Index rows) {
  time_.restart(ones_.data(), rows);
}

template <class T>
void DecoderSteps<T>::start(Index rows, const Index* memory_of, const DecoderState<const T>& state) {
  std::copy_n(memory_of, rows, memory_of_.data());
  set_rows(rows);
  forward_.load(state);
}

template <class T>
void DecoderSteps<T>::step(const std::int64_t* tokens, Rows<T> logits, TeamLease& team) {
  Crew crew(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    forward_.embed({tokens, 0, 1}, rank, crew.size());
    crew.barrier(rank);
    forward_.run(rank, crew);
    forward_.read_out(logits, rank, crew);
  });
  forward_.advance(1);
}

template <class T>
void DecoderSteps<T>::choose(Index rows, const Index* parents) {
  old_memory_of_ = memory_of_;
  for (Index row = 0; row < rows; ++row)
    memory_of_[static_cast<std::size_t>(row)] = old_memory_of_[static_cast<std::size_t>(parents[row])];
  set_rows(rows);
  forward_.choose(parents);
}

template class DecoderSteps<float>;
template class DecoderSteps<double>;

}  // namespace gru_native
