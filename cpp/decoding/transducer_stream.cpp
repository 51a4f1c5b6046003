#include <algorithm>

#include "decoding/stream_parts.h"
#include "decoding/transducer_networks.h"
#include "losses/rows.h"
#include "spec/check_decoding.h"
#include "spec/check_losses.h"
#include "spec/checks.h"

namespace gru_native {

template <class T>
struct TransducerStream<T>::Impl {
  using AtWork = TransducerAtWork<T>;
  struct Sequence {
    Index slot = AtWork::start;
    double score = 0;
  };

  Impl(const TransducerNetworks<T>& networks, std::int64_t batch, std::int64_t max_symbols)
      : at_work(networks),
        encoded_size(networks.encoded_size),
        max_symbols(max_symbols),
        sequences(static_cast<std::size_t>(batch)) {}

  AtWork at_work;
  const Index encoded_size;
  const std::int64_t max_symbols;
  std::vector<Sequence> sequences;

  void step(const Sequences<const T>& encoded, Index t, std::vector<Sequence>& now,
            std::vector<std::vector<std::int64_t>>& said);
  // Those of `sequences`, and no others.
  void keep_slots() {
    at_work.give_back_all();
    for (const Sequence& s : sequences) at_work.keep(s.slot);
  }
};

// One step of all sequences: those whose best symbol is a label go into the next round.
template <class T>
void TransducerStream<T>::Impl::step(const Sequences<const T>& encoded, Index t, std::vector<Sequence>& now,
                                     std::vector<std::vector<std::int64_t>>& said) {
  std::vector<std::size_t> going(now.size()), next;
  for (std::size_t b = 0; b < now.size(); ++b) going[b] = b;
  std::vector<typename AtWork::Pair> pairs;
  std::vector<typename AtWork::Step> steps;
  for (std::int64_t round = 0; round <= max_symbols && !going.empty(); ++round, going.swap(next)) {
    pairs.clear();
    steps.clear();
    next.clear();
    for (const std::size_t b : going)
      pairs.push_back(
          {encoded.data + t * encoded.step_stride + static_cast<Index>(b) * encoded.batch_stride, now[b].slot});
    at_work.each_logits(pairs, [&](Index first, Index count, const T* logits) {
      const Index classes = at_work.classes(), blank = at_work.blank();
      for (Index i = 0; i < count; ++i) {
        const T* const a = logits + i * classes;
        const std::size_t b = going[static_cast<std::size_t>(first + i)];
        const Normalizer<T> z = kernels_for<T>().loss.normalizer(a, classes);
        if (std::isnan(z.log_sum)) refuse_logits("step " + std::to_string(t) + " of sequence " + std::to_string(b));
        const Index k = round == max_symbols ? blank : std::max_element(a, a + classes) - a;
        now[b].score += log_probability(a, z, k);
        if (k == blank) continue;
        said[b].push_back(k);
        next.push_back(b);
        steps.push_back({now[b].slot, at_work.take_slot(), k});
      }
    });
    at_work.predict(steps);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      Sequence& s = now[next[i]];
      if (s.slot != AtWork::start && s.slot != sequences[next[i]].slot) at_work.give_back(s.slot);
      s.slot = steps[i].to;
    }
  }
}

template <class T>
TransducerStream<T>::TransducerStream(const TransducerNetworks<T>& networks, std::int64_t batch,
                                      std::int64_t max_symbols) {
  check_networks(networks);
  check_size("batch_size", batch, 1);
  check_fits("the states", static_cast<double>(batch) * 1024, {{"batch_size", batch}});
  check_size("max_symbols", max_symbols, 1);
  impl_ = std::make_unique<Impl>(networks, batch, max_symbols);
}
template <class T>
TransducerStream<T>::TransducerStream(const TransducerStream& other) : impl_(std::make_unique<Impl>(*other.impl_)) {}
template <class T>
TransducerStream<T>& TransducerStream<T>::operator=(const TransducerStream& other) {
  return *this = TransducerStream(other);
}
template <class T>
TransducerStream<T>::TransducerStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
TransducerStream<T>::~TransducerStream() = default;
template <class T>
TransducerStream<T>::TransducerStream(TransducerStream&&) noexcept = default;
template <class T>
TransducerStream<T>& TransducerStream<T>::operator=(TransducerStream&&) noexcept = default;
template <class T>
std::int64_t TransducerStream<T>::batch() const noexcept {
  return static_cast<std::int64_t>(impl_->sequences.size());
}

template <class T>
std::vector<std::vector<std::int64_t>> TransducerStream<T>::process(Sequences<const T> encoded, std::int64_t seq_len) {
  check_calls_size(seq_len, batch(), impl_->encoded_size);
  check_rows("encoded", encoded, seq_len, batch(), impl_->encoded_size);
  std::vector<std::vector<std::int64_t>> said(impl_->sequences.size());
  std::vector<typename Impl::Sequence> now = impl_->sequences;
  try {
    for (Index t = 0; t < seq_len; ++t) impl_->step(encoded, t, now, said);
  } catch (...) {
    impl_->keep_slots();
    throw;
  }
  impl_->sequences.swap(now);
  impl_->keep_slots();
  return said;
}

template <class T>
double TransducerStream<T>::score(std::int64_t sequence) const {
  if (sequence < 0 || sequence >= batch()) refuse("sequence", std::to_string(sequence), between(0, batch() - 1));
  return impl_->sequences[static_cast<std::size_t>(sequence)].score;
}
template <class T>
void TransducerStream<T>::reset() {
  std::fill(impl_->sequences.begin(), impl_->sequences.end(), typename Impl::Sequence());
  impl_->keep_slots();
}

template <class T>
TransducerStreamParts<T> parts_of(const TransducerStream<T>& stream) {
  const auto& impl = impl_of(stream);
  const TransducerAtWork<T>& at_work = impl.at_work;
  TransducerStreamParts<T> parts;
  parts.prediction = blocks_of(at_work.prediction().weights());
  if (at_work.output()) parts.output = blocks_of(at_work.output()->weights());
  for (const auto& s : impl.sequences) {
    parts.scores.push_back(s.score);
    parts.states.insert(parts.states.end(), at_work.state(s.slot),
                        at_work.state(s.slot) + at_work.prediction().state_size());
    parts.predicted.insert(parts.predicted.end(), at_work.predicted(s.slot),
                           at_work.predicted(s.slot) + at_work.predicted_size());
  }
  return parts;
}
template <class T>
TransducerStream<T> from_parts(TransducerStream<T> stream, const double* scores, const T* states, const T* predicted) {
  auto impl = take_impl(stream);
  TransducerAtWork<T>& at_work = impl->at_work;
  for (auto& s : impl->sequences) {
    s = {at_work.take_slot(), *scores++};
    at_work.fill_slot(s.slot, states, predicted);
    states += at_work.prediction().state_size();
    predicted += at_work.predicted_size();
  }
  return open_handle<TransducerStream<T>>(std::move(impl));
}
template <class T>
std::int64_t state_size_of(const TransducerStream<T>& stream) {
  return impl_of(stream).at_work.prediction().state_size();
}

#define GRU_NATIVE_TRANSDUCER_STREAM(T)                                                            \
  template class TransducerStream<T>;                                                              \
  template TransducerStreamParts<T> parts_of(const TransducerStream<T>&);                          \
  template TransducerStream<T> from_parts(TransducerStream<T>, const double*, const T*, const T*); \
  template std::int64_t state_size_of(const TransducerStream<T>&);
GRU_NATIVE_TRANSDUCER_STREAM(float)
GRU_NATIVE_TRANSDUCER_STREAM(double)

}  // namespace gru_native
