#include <algorithm>
#include <utility>

#include "decoding/decoder_at_work.h"
#include "decoding/stream_parts.h"
#include "gru_native/generation.h"
#include "runtime/interruption.h"
#include "spec/check_decoder.h"
#include "spec/check_decoding.h"
#include "spec/checks.h"

namespace gru_native {

template <class T>
struct DecoderStream<T>::Impl {
  Impl(const ImplOf<AttentionDecoder<T>>& decoder, const std::vector<DecoderMemory<const T>>& memory, Index batch)
      : batch(batch), at_work(decoder, memory, batch, batch), kept(at_work.steps.make_store(batch, true)) {}
  Impl(const Impl& other)
      : batch(other.batch), at_work(other.at_work, batch, batch), kept(at_work.steps.make_store(batch, true)) {
    at_work.start(batch, {});
    other.at_work.steps.store(kept.state);
    at_work.steps.load(kept.read);
    has_stepped = other.has_stepped;
  }

  const Index batch;
  DecoderAtWork<T> at_work;
  typename DecoderSteps<T>::Store kept;  // where an interrupted step goes back to
  bool has_stepped = false;

  void step(const std::int64_t* tokens, T* logits) {
    TeamLease team(at_work.members, {at_work.serial, batch});
    at_work.steps.step(tokens, {logits, at_work.spec.vocab_size, nullptr}, team);
    has_stepped = true;
  }
};

template <class T>
DecoderStream<T>::DecoderStream(const AttentionDecoder<T>& decoder, const std::vector<DecoderMemory<const T>>& memory,
                                std::int64_t batch, const DecoderState<const T>& initial) {
  GenerationCall<T> call;  // whose checks are those of a stream
  call.batch = batch;
  call.memory = memory;
  call.initial = initial;
  call.max_steps = 1;
  check_call(decoder.spec(), call);
  impl_ = std::make_unique<Impl>(impl_of(decoder), memory, batch);
  impl_->at_work.start(batch, initial);
}
template <class T>
DecoderStream<T>::DecoderStream(const DecoderStream& other) : impl_(std::make_unique<Impl>(*other.impl_)) {}
template <class T>
DecoderStream<T>& DecoderStream<T>::operator=(const DecoderStream& other) {
  return *this = DecoderStream(other);
}
template <class T>
DecoderStream<T>::DecoderStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
DecoderStream<T>::~DecoderStream() = default;
template <class T>
DecoderStream<T>::DecoderStream(DecoderStream&&) noexcept = default;
template <class T>
DecoderStream<T>& DecoderStream<T>::operator=(DecoderStream&&) noexcept = default;
template <class T>
std::int64_t DecoderStream<T>::batch() const noexcept {
  return impl_->batch;
}

template <class T>
void DecoderStream<T>::step(const std::int64_t* tokens, T* logits) {
  check_there("tokens", tokens);
  check_there("logits", logits);
  const std::int64_t words = impl_->at_work.spec.vocab_size;
  for (std::int64_t b = 0; b < batch(); ++b)
    if (tokens[b] < 0 || tokens[b] >= words)
      refuse("tokens[" + std::to_string(b) + "]", std::to_string(tokens[b]), between(0, words - 1));
  if (impl_->at_work.macs_of_step(batch()) < macs_at_once || !can_be_interrupted()) {
    const Uninterrupted whole;
    return impl_->step(tokens, logits);
  }
  impl_->at_work.steps.store(impl_->kept.state);
  try {
    impl_->step(tokens, logits);
  } catch (const Interrupted&) {
    impl_->at_work.steps.load(impl_->kept.read);
    throw;
  }
}

template <class T>
void DecoderStream<T>::save_state(const DecoderState<T>& to) const {
  check_state("to", impl_->at_work.spec, to);
  impl_->at_work.steps.store(to);
}
template <class T>
void DecoderStream<T>::load_state(const DecoderState<const T>& from) {
  check_state("from", impl_->at_work.spec, from);
  impl_->at_work.steps.load(from);
  impl_->has_stepped = false;
}

template <class T>
std::vector<T> DecoderStream<T>::weights(std::int64_t sequence, std::int64_t memory) const {
  const DecoderAtWork<T>& at_work = impl_->at_work;
  if (at_work.spec.attention == Attention::none) throw std::invalid_argument("attention: the decoder has none");
  if (!impl_->has_stepped)
    throw std::invalid_argument("attention: the stream has made no step since its state was set; expected one");
  check_class("sequence", sequence, batch());
  check_class("memory", memory, static_cast<std::int64_t>(at_work.positions().size()));
  std::vector<T> weights;
  at_work.append_weights(static_cast<std::size_t>(memory), sequence, sequence, weights);
  return weights;
}

template <class T>
DecoderStreamParts<T> parts_of(const DecoderStream<T>& stream) {
  const DecoderAtWork<T>& at_work = impl_of(stream).at_work;
  return {at_work.decoder(), at_work.memories(), impl_of(stream).has_stepped};
}
template <class T>
DecoderStream<T> with_weights(DecoderStream<T> stream, const std::vector<const T*>& weights) {
  auto impl = take_impl(stream);
  DecoderSteps<T>& steps = impl->at_work.steps;
  steps.store(impl->kept.state);
  for (std::size_t m = 0; m < weights.size(); ++m)
    std::copy_n(weights[m], impl->batch * impl->at_work.positions()[m], impl->kept.weights[m].data());
  steps.load(impl->kept.read);
  impl->has_stepped = true;
  return open_handle<DecoderStream<T>>(std::move(impl));
}

template class DecoderStream<float>;
template class DecoderStream<double>;
template DecoderStreamParts<float> parts_of(const DecoderStream<float>&);
template DecoderStreamParts<double> parts_of(const DecoderStream<double>&);
template DecoderStream<float> with_weights(DecoderStream<float>, const std::vector<const float*>&);
template DecoderStream<double> with_weights(DecoderStream<double>, const std::vector<const double*>&);

}  // namespace gru_native
