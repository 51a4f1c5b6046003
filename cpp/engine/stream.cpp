#include "gru_native/stream.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "engine/layer_impl.h"

namespace gru_native {

template <class T>
struct Stream<T>::Impl {
  LayerSpec spec;
  std::shared_ptr<const PackedWeights<T>> packed;
  Timeline time;
  Arena arena;
  std::unique_ptr<StackForward<T>> stack;
  Index longest = 0;
  std::vector<T> h, c;

  // The new buffers are complete before the old ones go: if memory runs out, the stream is as it was.
  void grow(Index seq_len) {
    const States<T> s{h.data(), c.empty() ? nullptr : c.data()};
    if (stack) stack->store_state(s);
    Arena roomier;
    auto next = std::make_unique<StackForward<T>>(spec, *packed, time, seq_len, nullptr, DropoutMask(0, 0), roomier);
    next->load_state({s.h, s.c});
    stack = std::move(next);
    arena = std::move(roomier);
    longest = seq_len;
  }
};

template <class T>
Stream<T>::Stream(const Layer<T>& layer, std::int64_t batch) : impl_(std::make_unique<Impl>()) {
  const LayerSpec& spec = layer.spec();
  if (spec.bidirectional)
    throw std::invalid_argument(
        "a bidirectional layer has no stream: its reverse direction begins at the end of the sequence");
  if (batch < 1) throw std::invalid_argument("batch_size is " + std::to_string(batch) + "; expected at least 1");
  // Every buffer of a stream must have a size that an address can hold.
  const double row = static_cast<double>(spec.num_layers) * static_cast<double>(spec.gates() * spec.hidden_size + 1024);
  if (static_cast<double>(batch) * row > 1e15)
    throw std::invalid_argument("batch_size is " + std::to_string(batch) +
                                "; its states would be larger than memory can be");
  impl_->spec = spec;
  impl_->packed = layer.impl().current();
  impl_->time = Timeline(1, batch, nullptr);
  impl_->h.resize(static_cast<std::size_t>(spec.num_layers * batch * spec.state_size()));
  if (spec.has_c()) impl_->c.resize(static_cast<std::size_t>(spec.num_layers * batch * spec.hidden_size));
  impl_->grow(1);
}
template <class T>
Stream<T>::~Stream() = default;

template <class T>
std::int64_t Stream<T>::batch() const {
  return impl_->time.batch;
}

template <class T>
void Stream<T>::process(Sequences<const T> x, Sequences<T> y, std::int64_t seq_len) {
  Impl& s = *impl_;
  if (seq_len > s.longest) s.grow(seq_len);
  s.time.seq_len = seq_len;
  s.time.rows = seq_len * s.time.batch;
  TeamLease team(useful_threads(s.spec, s.time.rows, seq_len));
  // Rows of different steps that lie unevenly would need a table: then one step at a time.
  const bool even = s.time.batch == 1 || x.step_stride == s.time.batch * x.batch_stride;
  const Index at_once = even ? seq_len : 1;
  s.time.seq_len = at_once;
  s.time.rows = at_once * s.time.batch;
  for (Index t = 0; t < seq_len; t += at_once)
    s.stack->run({x.data + t * x.step_stride, s.time.batch == 1 ? x.step_stride : x.batch_stride, nullptr},
                 {y.data + t * y.step_stride, y.step_stride, y.batch_stride}, nullptr, team);
}

template <class T>
States<T> Stream<T>::state() const {
  const States<T> s{impl_->h.data(), impl_->c.empty() ? nullptr : impl_->c.data()};
  impl_->stack->store_state(s);
  return s;
}

template <class T>
void Stream<T>::set_state(const States<const T>& s) {
  impl_->stack->load_state(s);
}

template class Stream<float>;
template class Stream<double>;

}  // namespace gru_native
