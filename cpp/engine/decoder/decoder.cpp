// The public AttentionDecoder: weights by name, one call forward.
#include "engine/decoder/decoder.h"

#include <algorithm>

#include "engine/sequence/rows.h"
#include "engine/threads.h"
#include "spec/check_decoder.h"

namespace gru_native {

const Index* user_rows_of(const Timeline& time, Arena& arena) {
  Index* const rows = arena.take<Index>(time.batch);
  for (Index row = 0; row < time.batch; ++row) rows[row] = time.user_row(row);
  return rows;
}

template <class T>
AttentionDecoder<T>::Impl::Impl(const AttentionDecoderSpec& s) : spec(s), layers(layers_of(s)) {
  index = each_weight(
      spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) { return store.add(name, shape); });
}

namespace {

double macs_of_attention(const AttentionDecoderSpec& spec, Index positions) {
  return double(positions) * (double(spec.memory_size) + macs_of_function * double(spec.score_size()));
}

}  // namespace

double macs_of_row(const AttentionDecoderSpec& spec, Index positions) {
  const double hidden = double(spec.hidden_size), readout = double(spec.readout_columns());
  const double of_readout = hidden + double(spec.context_size()) + double(spec.embedding_dim);
  return macs_of_row(layers_of(spec)) + macs_of_attention(spec, positions) +
         readout * (of_readout + double(spec.vocab_size));
}

int useful_threads(const AttentionDecoderSpec& spec, Index rows, Index steps, Index positions) {
  const double recurrent = macs_of_row(layers_of(spec)) + macs_of_attention(spec, positions);
  const double step = double(rows) / double(std::max<Index>(steps, 1)) * recurrent / double(spec.num_layers + 1);
  return useful_threads(double(rows) * macs_of_row(spec, positions), step);
}

template <class T>
AttentionDecoder<T>::AttentionDecoder(const AttentionDecoderSpec& spec) {
  spec.validate();
  impl_ = std::make_unique<Impl>(spec);
  impl_->store.commit(*impl_);
}
template <class T>
AttentionDecoder<T>::~AttentionDecoder() = default;
template <class T>
AttentionDecoder<T>::AttentionDecoder(AttentionDecoder&&) noexcept = default;
template <class T>
AttentionDecoder<T>& AttentionDecoder<T>::operator=(AttentionDecoder&&) noexcept = default;
template <class T>
const AttentionDecoderSpec& AttentionDecoder<T>::spec() const {
  return impl_->spec;
}
template <class T>
const std::vector<Weight<const T>>& AttentionDecoder<T>::weights() const {
  return impl_->store.list();
}
template <class T>
WeightEdit<T> AttentionDecoder<T>::edit() {
  return impl_->store.edit(*impl_);
}

namespace {

template <class T>
struct Run {
  const ImplOf<AttentionDecoder<T>>& decoder;
  const PackedDecoder<T>& packed;
  const DecoderForwardCall<T>& call;
  const Timeline& time;
  Dropout dropout;
  bool keep;
};

// arena: for what is kept of the call.
template <class T>
DecoderValues<T> forward(const Run<T>& run, std::vector<EncodedMemory<T>>& memories, Arena& arena) {
  const AttentionDecoderSpec& spec = run.decoder.spec;
  const Timeline& time = run.time;
  Index positions = 0;
  for (const DecoderMemory<const T>& memory : run.call.memory) {
    memories.push_back(reserve_memory<T>(spec, memory, time.batch, arena));
    positions += memory.seq_len;
  }
  TeamLease team(useful_threads(spec, time.rows, time.seq_len, positions), {&run.decoder, time.rows});
  DecoderForward<T> forward(spec, run.decoder.layers, run.packed, memories, user_rows_of(time, arena), time,
                            time.seq_len, run.keep, run.dropout, team.size(), arena);
  forward.load(run.call.initial);
  const Rows<T> logits = run.call.logits.data ? user_rows(run.call.logits, time, arena) : Rows<T>{};
  clear_absent(run.call.logits, spec.vocab_size, time);
  Crew crew(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    for (std::size_t m = 0; m < memories.size(); ++m)
      encode(spec, run.packed.attentions[m], run.call.memory[m], memories[m], rank, crew);
    forward.embed(run.call.targets, rank, crew.size());
    crew.barrier(rank);
    forward.run(rank, crew);
    forward.read_out(logits, rank, crew);
  });
  forward.advance(time.seq_len);
  forward.store(run.call.final);
  return forward.values();
}

}  // namespace

template <class T>
void AttentionDecoder<T>::forward(const DecoderForwardCall<T>& call) const {
  check_call(impl_->spec, call);
  const Timeline time(call.seq_len, call.batch, call.lengths);
  const auto packed = impl_->store.packed();
  const auto arena = impl_->store.lease();
  std::vector<EncodedMemory<T>> memories;
  const Dropout dropout = call.training ? Dropout(impl_->spec.dropout, call.seed) : Dropout();
  gru_native::forward<T>({*impl_, *packed, call, time, dropout, false}, memories, *arena);
}

template <class T>
std::shared_ptr<const AttentionDecoderTape<T>> AttentionDecoder<T>::forward_with_tape(
    const DecoderForwardCall<T>& call) const {
  check_call(impl_->spec, call);
  const Dropout dropout = call.training ? Dropout(impl_->spec.dropout, call.seed) : Dropout();
  auto tape = std::make_unique<ImplOf<AttentionDecoderTape<T>>>(
      impl_->store.begin_tape(), Timeline(call.seq_len, call.batch, call.lengths), dropout);
  const Timeline& time = tape->time;
  tape->tokens.reserve(static_cast<std::size_t>(time.rows));
  for (Index t = 0; t < time.seq_len; ++t)
    for (Index row = 0; row < time.alive(t); ++row)
      tape->tokens.push_back(
          call.targets.data[t * call.targets.step_stride + time.user_row(row) * call.targets.batch_stride]);
  tape->values =
      gru_native::forward<T>({*impl_, *tape->packed, call, time, dropout, true}, tape->memories, *tape->arena);
  return make_handle<AttentionDecoderTape<T>>(std::move(tape));
}

template <class T>
void AttentionDecoder<T>::check(const AttentionDecoderTape<T>& tape) const {
  impl_->store.check(impl_of(tape));
}

template <class T>
AttentionDecoderTape<T>::AttentionDecoderTape(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
AttentionDecoderTape<T>::~AttentionDecoderTape() = default;
template <class T>
AttentionDecoderTape<T>::AttentionDecoderTape(AttentionDecoderTape&&) noexcept = default;
template <class T>
AttentionDecoderTape<T>& AttentionDecoderTape<T>::operator=(AttentionDecoderTape&&) noexcept = default;
template <class T>
std::int64_t AttentionDecoderTape<T>::seq_len() const {
  return impl_->time.seq_len;
}
template <class T>
std::int64_t AttentionDecoderTape<T>::batch() const {
  return impl_->time.batch;
}
template <class T>
std::int64_t AttentionDecoderTape<T>::memory_len(std::int64_t memory) const {
  return impl_->memories[static_cast<std::size_t>(memory)].seq_len;
}

template class AttentionDecoder<float>;
template class AttentionDecoder<double>;
template class AttentionDecoderTape<float>;
template class AttentionDecoderTape<double>;

}  // namespace gru_native
