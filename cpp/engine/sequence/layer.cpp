// The public Layer: weights by name, one call forward, one call backward.
#include "gru_native/layer.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "engine/sequence/layer_impl.h"
#include "engine/matrix/matrices.h"
#include "engine/matrix/weight_gradients.h"
#include "engine/sequence/rows.h"
#include "spec/tensors.h"
#include "spec/validation.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"

namespace gru_native {
template <class T>
Layer<T>::Layer(const LayerSpec& spec) {
  spec.validate();
  kernels_for<T>();  // an impossible GRU_NATIVE_ISA is reported here
  impl_ = std::make_unique<Impl>(spec);
  commit();
}
template <class T>
Layer<T>::~Layer() = default;

template <class T>
Layer<T>::Impl::Impl(const LayerSpec& s) : spec(s) {
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
const std::vector<Weight<T>>& Layer<T>::weights() const {
  return impl_->store.list();
}

template <class T>
void Layer<T>::commit() {
  impl_->store.replace(pack(impl_->spec, impl_->store.list(), impl_->index));
}

template <class T>
bool Layer<T>::load(const std::vector<const T*>& weights) {
  const std::vector<Weight<T>>& own = impl_->store.list();
  if (weights.size() != own.size())
    throw std::invalid_argument("weights has " + std::to_string(weights.size()) + " pointers; expected " +
                                std::to_string(own.size()));
  for (std::size_t i = 0; i < own.size(); ++i)
    if (!weights[i]) throw std::invalid_argument(own[i].name + " is null; expected an array");
  const std::lock_guard<std::mutex> lock(impl_->loading);
  std::int64_t size = 0;
  for (const Weight<T>& w : own) size += w.size();
  TeamLease team(size < 32768 ? 1 : 256);
  std::atomic<bool> others{std::exchange(impl_->half_loaded, true)};  // by a call for which there was no memory
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
    auto packed = impl_->spare->take();
    if (packed) pack_again(*packed, impl_->spec, own, impl_->index, &team);
    else packed = pack(impl_->spec, own, impl_->index, &team);
    impl_->store.replace(SpareWeights<T>::share(std::move(packed), impl_->spare));
  }
  impl_->half_loaded = false;
  return others;
}

template <class T>
void Layer<T>::forward(const ForwardCall<T>& call) const {
  check_call(impl_->spec, call);
  if (!call.y.data && !call.final.h)
    throw std::invalid_argument("y.data is null, and so is final.h: nothing is wanted");
  const LayerSpec& spec = impl_->spec;
  const Timeline time(call.seq_len, call.batch, call.lengths, call.mask);
  const auto packed = impl_->store.packed();
  const auto arena = impl_->store.lease();
  StackForward<T> stack(spec, *packed, time, time.seq_len, nullptr, DropoutMask(0, 0), {}, *arena);
  stack.load_state(call.initial);
  TeamLease team(useful_threads(spec, time.rows, time.seq_len));
  clear_absent(call.y, spec.directions() * spec.output_size(), time);
  stack.run(user_rows(call.x, time, *arena), call.y, row_offsets(call.y.step_stride, call.y.batch_stride, time, *arena),
            team);
  if (call.masked_output == MaskedOutput::hold) hold(call.y, spec.output_size(), spec.directions(), time);
  stack.store_state(call.final);
}

template <class T>
std::shared_ptr<const Tape<T>> Layer<T>::forward(const ForwardCall<T>& call, std::uint64_t dropout_seed,
                                                 bool training) const {
  check_call(impl_->spec, call);
  check_trainable(impl_->spec);
  const LayerSpec& spec = impl_->spec;
  auto tape = std::make_unique<typename Tape<T>::Impl>(
      impl_->store.begin_tape(), spec, Timeline(call.seq_len, call.batch, call.lengths, call.mask),
      DropoutMask(training ? spec.dropout : 0, dropout_seed), Draw{training, dropout_seed});
  const Timeline& time = tape->time;
  tape->hold = call.masked_output == MaskedOutput::hold;
  const auto arena = impl_->store.lease();

  // The input is copied: a tape stays right whatever becomes of the caller's arrays.
  const Index stride = padded_stride(spec.input_size, sizeof(T));
  Matrix<T>& x = tape->layers[0].x = {tape->arena->template take<T>(time.rows * stride), stride};
  gather(call.x, spec.input_size, time, x);

  StackForward<T> stack(spec, *tape->packed, time, time.seq_len, &tape->layers, tape->dropout, tape->draw,
                        *tape->arena);
  stack.load_state(call.initial);
  TeamLease team(useful_threads(spec, time.rows, time.seq_len));
  clear_absent(call.y, spec.directions() * spec.output_size(), time);
  stack.run({x.base, stride, nullptr}, call.y, row_offsets(call.y.step_stride, call.y.batch_stride, time, *arena),
            team);
  if (tape->hold) hold(call.y, spec.output_size(), spec.directions(), time);
  stack.store_state(call.final);
  return std::make_shared<const Tape<T>>(std::move(tape));
}

template <class T>
void Layer<T>::check(const Tape<T>& tape) const {
  impl_->store.check(tape.impl());
}

template <class T>
void Layer<T>::backward(const Tape<T>& tape_, const BackwardCall<T>& call) const {
  check(tape_);
  const auto& tape = tape_.impl();
  const LayerSpec& spec = tape.spec;
  const Timeline& time = tape.time;
  check_call(spec, call, time.user_len, time.batch, impl_->store.list().size());
  const auto lease = impl_->store.lease();
  Arena& arena = *lease;
  const Index directions = spec.directions(), outputs = directions * spec.output_size();
  const auto matrix = [&](Index rows, Index columns) { return take_matrix<T>(arena, rows, columns); };

  TeamLease team(useful_threads(spec, time.rows, time.seq_len));
  tape.packed->transposed(&team);
  // Two gradients of inputs, in turn: of the layer at work and of the one above it.
  const Index widest = std::max<Index>(spec.input_size, spec.num_layers > 1 ? outputs : 0);
  const Matrix<T> dx[2] = {matrix(time.rows, widest), spec.num_layers > 1 ? matrix(time.rows, widest) : Matrix<T>{}};
  std::deque<DirectionBackward<T>> steps;
  for (Index i = 0; i < spec.num_layers * directions; ++i)
    steps.emplace_back(spec, *tape.packed, i, time, i % directions == 1,
                       tape.layers[i / directions].direction[i % directions], arena, zoneout_of(spec, i, tape.draw));
  Index sums = 0;
  for (const DirectionBackward<T>& d : steps) sums = std::max(sums, d.gradient_scratch(widest, team.size()));
  std::vector<T*> scratch;
  for (int m = 0; m < team.size(); ++m) scratch.push_back(call.dweights.empty() ? nullptr : arena.take<T>(sums));
  const bool held = tape.hold && time.masked() && call.dy.data;
  const Matrix<T> dy_held = held ? matrix(time.rows, outputs) : Matrix<T>{};
  if (held) gather_held(call.dy, spec.output_size(), directions, time, dy_held);
  const Index* const dy_offset = held ? nullptr : row_offsets(call.dy.step_stride, call.dy.batch_stride, time, arena);

  Crew all(team.size());
  Crew halves[2] = {Crew(team.size() / 2), Crew(team.size() - team.size() / 2)};
  const auto states = [&](auto* base, Index i, Index columns) {
    return base ? base + i * time.batch * columns : nullptr;
  };
  team.run([&](int rank) {
    const FlushDenormals flush;
    for (Index l = spec.num_layers - 1; l >= 0; --l) {
      const Matrix<T> above = dx[(l + 1) % 2], here = dx[l % 2];
      const bool top = l + 1 == spec.num_layers;
      for (Index d = 0; d < directions; ++d) {
        const Index i = l * directions + d;
        typename DirectionBackward<T>::Io io{};
        const Matrix<T> compact = top ? dy_held : above;
        const T* const dy = compact.base ? compact.base : call.dy.data;
        io.dy = dy ? dy + d * spec.output_size() : nullptr;
        io.dy_compact = compact.base;
        io.dy_step = call.dy.step_stride;
        io.dy_batch = compact.base ? compact.stride : call.dy.batch_stride;
        io.dy_offset = dy_offset;
        io.dh_final = states(call.dfinal.h, i, spec.state_size());
        io.dc_final = states(call.dfinal.c, i, spec.hidden_size);
        io.dh_initial = states(call.dinitial.h, i, spec.state_size());
        io.dc_initial = states(call.dinitial.c, i, spec.hidden_size);
        if (directions == 1 || all.size() == 1) steps[i].run(io, rank, all);
        else if ((rank >= halves[0].size()) == (d == 1))
          steps[i].run(io, d == 1 ? rank - halves[0].size() : rank, halves[d]);
      }
      all.barrier(rank);
      const Matrix<T> x = tape.layers[l].x;
      const Index columns = impl_->layer_input(l);
      for (Index d = 0; d < directions; ++d) {
        const Index i = l * directions + d;
        if (l > 0 || call.dx.data) steps[i].input_gradient(here, d > 0, rank, all.size());
        if (!call.dweights.empty())
          steps[i].weight_gradients(x, columns, impl_->gradients_of(i, call.dweights), scratch[rank], rank, all.size());
      }
      all.barrier(rank);
      if (l > 0 && tape.dropout.active()) {
        const Share mine = share_of(time.rows, 1, rank, all.size());
        tape.dropout.apply(here, columns, time, l - 1, mine.begin, mine.end);
        all.barrier(rank);
      }
    }
  });

  if (call.dx.data) scatter<T>({dx[0].base, dx[0].stride}, spec.input_size, time, call.dx);
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
std::int64_t Tape<T>::seq_len() const {
  return impl_->time.user_len;
}
template <class T>
std::int64_t Tape<T>::batch() const {
  return impl_->time.batch;
}

template class Layer<float>;
template class Layer<double>;
template class Tape<float>;
template class Tape<double>;

}  // namespace gru_native
