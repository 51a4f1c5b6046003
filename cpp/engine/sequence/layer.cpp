// The public Layer: weights by name, one call forward, one call backward.
#include "gru_native/layer.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "engine/matrix/matrices.h"
#include "engine/sequence/layer_impl.h"
#include "engine/sequence/rows.h"
#include "engine/sequence/stack_backward.h"
#include "engine/sequence/stack_forward.h"
#include "engine/threads.h"
#include "runtime/dispatch.h"
#include "spec/check_layer.h"
#include "spec/check_precision.h"
#include "spec/checks.h"
#include "spec/tensors.h"

namespace gru_native {
template <class T>
Layer<T>::Layer(const LayerSpec& spec) {
  spec.validate();
  check_new(spec.precision);
  impl_ = std::make_unique<Impl>(spec);
  impl_->store.replace(impl_->reserve());  // zeros, as the weights are
}
template <class T>
Layer<T>::Layer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
Layer<T>::~Layer() = default;
template <class T>
Layer<T>::Layer(Layer&&) noexcept = default;
template <class T>
Layer<T>& Layer<T>::operator=(Layer&&) noexcept = default;

template <class T>
Layer<T>::Impl::Impl(const LayerSpec& s) : spec(s), store(s.precision) {
  if (s.num_layers > most_layers)
    refuse("num_layers", std::to_string(s.num_layers), "at most " + std::to_string(most_layers));
  each_weight(spec, [&](Index i, auto place, const std::string& name, std::vector<std::int64_t> shape) {
    index.resize(static_cast<std::size_t>(i) + 1);
    place(index.back()) = store.add(name, std::move(shape));
  });
}

template <class T>
const LayerSpec& Layer<T>::spec() const {
  return impl_->spec;
}

template <class T>
const std::vector<Weight<const T>>& Layer<T>::weights() const {
  return impl_->store.shown();
}

template <class T>
WeightEdit<T> Layer<T>::edit() {
  return impl_->store.edit(*impl_);
}

template <class T>
bool Layer<T>::load(const std::vector<const T*>& weights) {
  impl_->store.check_full("load into");
  const std::vector<Weight<T>>& own = impl_->store.writable();
  if (weights.size() != own.size())
    throw std::invalid_argument("weights has " + std::to_string(weights.size()) + " pointers; expected " +
                                std::to_string(own.size()));
  for (std::size_t i = 0; i < own.size(); ++i)
    if (!weights[i]) throw std::invalid_argument(own[i].name + " is null; expected an array");
  const std::lock_guard<LengthyLock> lock(impl_->loading);
  const Uninterrupted whole;
  std::int64_t size = 0;
  for (const Weight<T>& w : own) size += w.size();
  TeamLease team(useful_threads_to_copy(size), {impl_.get(), size});
  std::atomic<bool> others{std::exchange(impl_->half_loaded, true)};  // by a call that did not end
  team.run([&](int rank) {
    for (std::size_t i = 0; i < own.size(); ++i) {
      const Share mine = share_of(own[i].size(), 4096, rank, team.size());
      const std::size_t bytes = static_cast<std::size_t>(mine.end - mine.begin) * sizeof(T);
      T* const to = own[i].data + mine.begin;
      const T* const from = weights[i] + mine.begin;
      if (bytes == 0 || std::memcmp(to, from, bytes) == 0) continue;
      std::memcpy(to, from, bytes);
      others.store(true, std::memory_order_relaxed);
    }
  });
  if (others) {
    const auto packed = impl_->store.reserve_spare(*impl_);
    pack(*packed, impl_->spec, impl_->store.list(), impl_->index, &team);
    impl_->store.replace(packed);
  }
  impl_->half_loaded = false;
  return others;
}

namespace {

template <class T>
Dropout dropout_of(const LayerSpec& spec, const ForwardCall<T>& call) {
  return call.training ? Dropout(spec.dropout, call.seed) : Dropout();
}
template <class T>
Draw draw_of(const ForwardCall<T>& call) {
  return {call.training, call.seed};
}

}  // namespace

template <class T>
void Layer<T>::forward(const ForwardCall<T>& call) const {
  check_call(impl_->spec, call);
  if (!call.y.data && !call.final.h)
    throw std::invalid_argument("y.data is null, and so is final.h: nothing is wanted");
  const LayerSpec& spec = impl_->spec;
  const Timeline time(call.seq_len, call.batch, call.lengths, call.mask);
  const auto packed = impl_->store.packed();
  const auto arena = impl_->store.lease();
  StackForward<T> stack(spec, *packed, time, time.seq_len, nullptr, dropout_of(spec, call), draw_of(call), *arena);
  for (DirectionForward<T>& direction : stack.directions()) direction.widen_once(*arena);
  stack.load_state(call.initial);
  TeamLease team(useful_threads(spec, time.rows, time.seq_len), {impl_.get(), time.rows});
  clear_absent(call.y, spec.directions() * spec.output_size(), time);
  stack.run(user_rows(call.x, time, *arena), user_steps(call.y, time, *arena), team);
  if (call.masked_output == MaskedOutput::hold) hold(call.y, spec.output_size(), spec.directions(), time);
  stack.store_state(call.final);
}

template <class T>
std::shared_ptr<const Tape<T>> Layer<T>::forward_with_tape(const ForwardCall<T>& call) const {
  check_call(impl_->spec, call);
  check_trainable(impl_->spec);
  impl_->store.check_full("train");
  const LayerSpec& spec = impl_->spec;
  auto tape = std::make_unique<ImplOf<Tape<T>>>(impl_->store.begin_tape(), spec,
                                                Timeline(call.seq_len, call.batch, call.lengths, call.mask),
                                                dropout_of(spec, call), draw_of(call));
  const Timeline& time = tape->time;
  tape->hold = call.masked_output == MaskedOutput::hold;
  tape->learned_h = spec.learn_initial_state && !call.initial.h;
  tape->learned_c = spec.learn_initial_state && spec.has_c() && !call.initial.c;
  const auto arena = impl_->store.lease();

  // The input is copied: a tape stays right whatever becomes of the caller's arrays.
  const Index stride = padded_stride(spec.input_size, sizeof(T));
  Matrix<T>& x = tape->layers[0].x = {tape->arena->template take<T>(time.rows * stride), stride};
  StackForward<T> stack(spec, *tape->packed, time, time.seq_len, &tape->layers, tape->dropout, tape->draw,
                        *tape->arena);
  stack.load_state(call.initial);
  TeamLease team(useful_threads(spec, time.rows, time.seq_len), {impl_.get(), time.rows});
  gather(call.x, spec.input_size, time, x, &team);
  clear_absent(call.y, spec.directions() * spec.output_size(), time);
  stack.run(rows_from(x, 0), user_steps(call.y, time, *arena), team);
  if (tape->hold) hold(call.y, spec.output_size(), spec.directions(), time);
  stack.store_state(call.final);
  return make_handle<Tape<T>>(std::move(tape));
}

template <class T>
void Layer<T>::check(const Tape<T>& tape) const {
  impl_->store.check(impl_of(tape));
}

template <class T>
void Layer<T>::backward(const Tape<T>& tape_, const BackwardCall<T>& call) const {
  check(tape_);
  const auto& tape = impl_of(tape_);
  const LayerSpec& spec = tape.spec;
  const Timeline& time = tape.time;
  check_call(spec, call, time.user_len, time.batch, impl_->store.list().size());
  const auto arena = impl_->store.lease();
  TeamLease team(useful_threads(spec, time.rows, time.seq_len), {impl_.get(), time.rows});
  tape.packed->transposed(&team);
  StackBackward<T> stack(spec, *tape.packed, time, tape.layers, tape.dropout, tape.draw, *arena);

  StepRows<const T> dy;
  if (tape.hold && time.masked() && call.dy.data) {
    const Matrix<T> held = take_matrix<T>(*arena, time.rows, spec.directions() * spec.output_size());
    gather_held(call.dy, spec.output_size(), spec.directions(), time, held);
    dy = StepRows<const T>::compact(read_only(held));
  } else {
    dy = user_steps(call.dy, time, *arena);
  }
  States<T> dinitial = call.dinitial;
  const Index states = spec.num_layers * spec.directions() * time.batch;
  const bool learns = !call.dweights.empty();
  if (learns && tape.learned_h && !dinitial.h) dinitial.h = arena->template take<T>(states * spec.state_size());
  if (learns && tape.learned_c && !dinitial.c) dinitial.c = arena->template take<T>(states * spec.hidden_size);
  typename StackBackward<T>::Wanted wanted{call.dx.data != nullptr, {}, dinitial};
  for (Index i = 0; !call.dweights.empty() && i < static_cast<Index>(impl_->index.size()); ++i)
    wanted.weights.push_back(impl_->gradients_of(i, call.dweights));
  stack.run(dy, call.dfinal, wanted, team);
  if (learns && spec.learn_initial_state) impl_->sum_initial_gradients(tape_, dinitial, call.dweights);
  if (call.dx.data) scatter(stack.dx(), spec.input_size, time, call.dx, &team);
}

// All rows of the batch begin with the same numbers. A state that was given is none of theirs.
template <class T>
void Layer<T>::Impl::sum_initial_gradients(const Tape<T>& tape_, const States<T>& dinitial,
                                           const std::vector<T*>& dweights) const {
  const auto& tape = impl_of(tape_);
  const Index batch = tape.time.batch;
  Progress progress;
  const auto sum = [&](std::size_t i, int weight, const T* of_all, Index columns) {
    T* const to = gradient_of(dweights, weight);
    if (!to) return;
    std::fill_n(to, columns, T(0));
    for (Index row = 0; of_all && row < batch; ++row) {
      const T* const from = of_all + (static_cast<Index>(i) * batch + row) * columns;
      GRU_NATIVE_EXECUTED(add, columns);
      for (Index k = 0; k < columns; ++k) to[k] += from[k];
      progress.add(macs_of_copy * static_cast<double>(columns));
    }
  };
  for (std::size_t i = 0; i < index.size(); ++i) {
    sum(i, index[i].h0, tape.learned_h ? dinitial.h : nullptr, spec.state_size());
    sum(i, index[i].c0, tape.learned_c ? dinitial.c : nullptr, spec.hidden_size);
  }
}

template <class T>
DirectionGradients<T> Layer<T>::Impl::gradients_of(Index i, const std::vector<T*>& dweights) const {
  const auto at = [&](int weight) { return gradient_of(dweights, weight); };
  const WeightIndex& w = index[static_cast<std::size_t>(i)];
  return {at(w.ih),
          at(w.hh),
          at(w.bias_ih),
          at(w.bias_hh),
          at(w.hr),
          at(w.hp),
          {at(w.peephole[0]), at(w.peephole[1]), at(w.peephole[2])},
          at(w.rr),
          {at(w.gain_ih), at(w.gain_hh), at(w.gain_c), at(w.bias_c)}};
}

template <class T>
Tape<T>::Tape(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
Tape<T>::~Tape() = default;
template <class T>
Tape<T>::Tape(Tape&&) noexcept = default;
template <class T>
Tape<T>& Tape<T>::operator=(Tape&&) noexcept = default;
template <class T>
std::int64_t Tape<T>::seq_len() const {
  return impl_->time.user_len;
}
template <class T>
std::int64_t Tape<T>::batch() const {
  return impl_->time.batch;
}

template <>
Layer<float> Layer<float>::quantize(Precision precision) const;  // quantize.cpp
template <>
Layer<double> Layer<double>::quantize(Precision precision) const;
template class Layer<float>;
template class Layer<double>;
template class Tape<float>;
template class Tape<double>;

}  // namespace gru_native
