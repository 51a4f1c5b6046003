#include "engine/sequence/output_rnn.h"

#include <algorithm>
#include <utility>

#include "engine/matrix/few_bits.h"
#include "engine/matrix/weight_gradients.h"
#include "engine/sequence/quantize.h"
#include "engine/sequence/rows.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "spec/check_output_rnn.h"
#include "spec/tensors.h"

namespace gru_native {
namespace {

// What a member computes: with teacher forcing any rows of all steps, else its sequences, step after step.
template <class F>
void each_share(const Timeline& time, bool forced, bool backward, double macs_of_row, int rank, int members,
                const F& f) {
  if (forced) return f(share_of(time.rows, 1, rank, members), Index(0));
  const Share mine = share_of(time.batch, 1, rank, members);
  Progress progress;
  for (Index step = 0; step < time.seq_len; ++step) {
    progress.add(macs_of_row * static_cast<double>(mine.end - mine.begin));
    const Index t = time_of(time.seq_len, backward, step), first = time.first(t);
    const Share rows{first + std::min(mine.begin, time.alive(t)), first + std::min(mine.end, time.alive(t))};
    f(rows, t);
  }
}

// f(time, sorted row, user's row, whether it is the last of its sequence)
template <class F>
void each_row(const Timeline& time, const F& f) {
  for (Index t = 0; t < time.seq_len; ++t)
    for (Index row = 0; row < time.alive(t); ++row) f(t, row, time.user_row(row), t + 1 == time.length_of(row));
}

}  // namespace

template <class T>
struct OutputRnnTape<T>::Impl : TapeOf<PackedOutputRnn<T>> {
  Impl(TapeOf<PackedOutputRnn<T>> base, Timeline time, bool forced)
      : TapeOf<PackedOutputRnn<T>>(std::move(base)), time(std::move(time)), forced(forced) {}

  Timeline time;
  bool forced;
  OutputRnnValues<T> values;
};

template <class T>
OutputRnn<T>::Impl::Impl(const OutputRnnSpec& s) : spec(s), store(spec.precision) {
  each_name(spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) { store.add(name, shape); });
  ih = store.find("weight_ih"), oh = store.find("weight_oh"), ho = store.find("weight_ho");
  bias_h = store.find("bias_h"), bias_o = store.find("bias_o");
}

template <class T>
std::shared_ptr<PackedOutputRnn<T>> OutputRnn<T>::Impl::reserve() const {
  auto p = std::make_shared<PackedOutputRnn<T>>();
  p->hidden = spec.hidden_size;
  p->outputs = spec.output_size;
  p->ih = empty_panels(store, spec.hidden_size, 1, spec.input_size);
  p->oh = empty_panels(store, spec.hidden_size, 1, spec.output_size);
  p->ho = empty_panels(store, spec.output_size, 1, spec.hidden_size);
  p->bias_h = Buffer<T>(round_up(spec.hidden_size, panel_columns<T>()));
  p->bias_o = Buffer<T>(round_up(spec.output_size, panel_columns<T>()));
  return p;
}

template <class T>
void OutputRnn<T>::Impl::fill(PackedOutputRnn<T>& p) const {
  const auto matrix = [&](PackedMatrix<T>& m, int weight, Index rows) {
    fill_panels(store, m, rows, [&](int, Index row) { return RowOf{weight, row}; });
  };
  matrix(p.ih, ih, spec.hidden_size);
  matrix(p.oh, oh, spec.hidden_size);
  matrix(p.ho, ho, spec.output_size);
  if (!spec.bias) return;
  std::copy_n(store.data(bias_h), spec.hidden_size, p.bias_h.data());
  std::copy_n(store.data(bias_o), spec.output_size, p.bias_o.data());
}

template <class T>
void OutputRnn<T>::Impl::forward(const OutputRnnForwardCall<T>& call, const Timeline& time, const PackedOutputRnn<T>& w,
                                 const OutputRnnValues<T>& v, TeamLease& team) const {
  const bool forced = call.targets.data != nullptr;
  const Index outputs = spec.output_size;
  gather(call.x, spec.input_size, time, v.x);
  each_row(time, [&](Index t, Index row, Index user, bool) {
    T* const to = v.fed.base + (time.first(t) + row) * v.fed.stride;
    if (t == 0 && call.initial) std::copy_n(call.initial + user * outputs, outputs, to);
    if (t > 0 && forced)
      std::copy_n(call.targets.data + (t - 1) * call.targets.step_stride + user * call.targets.batch_stride, outputs,
                  to);
  });
  Crew crew(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    multiply(w.ih, rows_from(v.x, 0), {w.bias_h.data(), 0, nullptr}, v.h, share_of(time.rows, 1, rank, crew.size()));
    crew.barrier(rank);
    each_share(time, forced, false, macs_of_row(), rank, crew.size(), [&](Share rows, Index t) {
      if (!forced && t > 0)
        for (Index row = rows.begin; row < rows.end; ++row)
          std::copy_n(v.y.base + (row - time.first(t) + time.first(t - 1)) * v.y.stride, outputs,
                      v.fed.base + row * v.fed.stride);
      if (rows.begin >= rows.end) return;
      multiply(w.oh, rows_from(v.fed, 0), rows_from(v.h, 0), v.h, rows);
      activate(spec.activation, v.h, spec.hidden_size, rows);
      multiply(w.ho, rows_from(v.h, 0), {w.bias_o.data(), 0, nullptr}, v.y, rows);
      activate(spec.output_activation, v.y, outputs, rows);
    });
  });
  scatter<T>({v.y.base, v.y.stride}, outputs, time, call.y);
  if (!call.final) return;
  if (call.initial) std::copy_n(call.initial, time.batch * outputs, call.final);
  else std::fill_n(call.final, time.batch * outputs, T(0));
  each_row(time, [&](Index t, Index row, Index user, bool last) {
    const T* const from = forced ? call.targets.data + t * call.targets.step_stride + user * call.targets.batch_stride
                                 : v.y.base + (time.first(t) + row) * v.y.stride;
    if (last) std::copy_n(from, outputs, call.final + user * outputs);
  });
}

template <class T>
OutputRnn<T>::OutputRnn(const OutputRnnSpec& spec) {
  spec.validate();
  check_new(spec.precision);
  impl_ = std::make_unique<Impl>(spec);
  impl_->store.commit(*impl_);
}
template <class T>
OutputRnn<T>::OutputRnn(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
OutputRnn<T>::~OutputRnn() = default;
template <class T>
OutputRnn<T>::OutputRnn(OutputRnn&&) noexcept = default;
template <class T>
OutputRnn<T>& OutputRnn<T>::operator=(OutputRnn&&) noexcept = default;
template <class T>
const OutputRnnSpec& OutputRnn<T>::spec() const {
  return impl_->spec;
}
template <class T>
const std::vector<Weight<const T>>& OutputRnn<T>::weights() const {
  return impl_->store.shown();
}
template <class T>
WeightEdit<T> OutputRnn<T>::edit() {
  return impl_->store.edit(*impl_);
}
template <class T>
OutputRnn<T> OutputRnn<T>::quantize(Precision precision) const {
  return quantized_copy<T>(*this, precision);
}
OutputRnn<float> quantized_layer(const OutputRnnSpec& spec, std::vector<QuantizedWeight> weights) {
  return layer_of_few_bits<OutputRnn<float>>(spec, std::move(weights));
}

template <class T>
void OutputRnn<T>::forward(const OutputRnnForwardCall<T>& call) const {
  check_call(impl_->spec, call);
  const Timeline time(call.seq_len, call.batch, call.lengths);
  const auto packed = impl_->store.packed();
  const auto arena = impl_->store.lease();
  const OutputRnnValues<T> values = impl_->values(time, *arena);
  TeamLease team(impl_->threads(time, call.targets.data), {impl_.get(), time.rows});
  impl_->forward(call, time, *packed, values, team);
}

template <class T>
std::shared_ptr<const OutputRnnTape<T>> OutputRnn<T>::forward_with_tape(const OutputRnnForwardCall<T>& call) const {
  check_call(impl_->spec, call);
  impl_->store.check_full("train");
  auto tape = std::make_unique<ImplOf<OutputRnnTape<T>>>(
      impl_->store.begin_tape(), Timeline(call.seq_len, call.batch, call.lengths), call.targets.data != nullptr);
  tape->values = impl_->values(tape->time, *tape->arena);
  TeamLease team(impl_->threads(tape->time, tape->forced), {impl_.get(), tape->time.rows});
  impl_->forward(call, tape->time, *tape->packed, tape->values, team);
  return make_handle<OutputRnnTape<T>>(std::move(tape));
}

template <class T>
void OutputRnn<T>::check(const OutputRnnTape<T>& tape) const {
  impl_->store.check(impl_of(tape));
}

template <class T>
void OutputRnn<T>::backward(const OutputRnnTape<T>& tape_, const OutputRnnBackwardCall<T>& call) const {
  check(tape_);
  const Impl& l = *impl_;
  const auto& tape = impl_of(tape_);
  const OutputRnnSpec& spec = l.spec;
  const Timeline& time = tape.time;
  const OutputRnnValues<T>& v = tape.values;
  const OutputRnnPanels<T>& transposed = tape.packed->transposed();
  check_call(spec, call, time.seq_len, time.batch, l.store.list().size(), tape.forced);
  const auto arena = l.store.lease();
  const OutputRnnValues<T> d = l.values(time, *arena);  // of y and h, later of their pre-activations
  const Index inputs = spec.input_size, hidden = spec.hidden_size, outputs = spec.output_size;
  const T* const zeros = take_zeroed_matrix<T>(*arena, 1, std::max({inputs, hidden, outputs})).base;
  TeamLease team(l.threads(time, tape.forced), {impl_.get(), time.rows});
  std::vector<T*> scratch;
  for (int m = 0; m < team.size(); ++m)
    scratch.push_back(arena->template take<T>(
        weight_gradients_scratch<T>(std::max(hidden, outputs), std::max({inputs, hidden, outputs}), team.size())));

  if (call.dy.data) gather(call.dy, outputs, time, d.y);
  if (call.dfinal && !tape.forced)
    each_row(time, [&](Index t, Index row, Index user, bool last) {
      T* const to = d.y.base + (time.first(t) + row) * d.y.stride;
      for (Index k = 0; last && k < outputs; ++k) to[k] += call.dfinal[user * outputs + k];
      if (last) GRU_NATIVE_EXECUTED(add, outputs);
    });

  Crew crew(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    const Rows<const T> none{zeros, 0, nullptr};
    each_share(time, tape.forced, true, l.macs_of_row(), rank, crew.size(), [&](Share rows, Index t) {
      if (rows.begin >= rows.end) return;
      if (!tape.forced && t + 1 < time.seq_len)  // o(t) was fed to t + 1
        for (Index row = rows.begin; row < std::min(rows.end, time.first(t) + time.alive(t + 1)); ++row) {
          const T* const back = d.fed.base + (row - time.first(t) + time.first(t + 1)) * d.fed.stride;
          for (Index k = 0; k < outputs; ++k) d.y.base[row * d.y.stride + k] += back[k];
          GRU_NATIVE_EXECUTED(add, outputs);
        }
      activate_backward(spec.output_activation, v.y, d.y, outputs, rows);
      multiply(transposed.ho, rows_from(d.y, 0), none, d.h, rows);
      activate_backward(spec.activation, v.h, d.h, hidden, rows);
      multiply(transposed.oh, rows_from(d.h, 0), none, d.fed, rows);
    });
    crew.barrier(rank);
    if (call.dx.data) multiply(transposed.ih, rows_from(d.h, 0), none, d.x, share_of(time.rows, 1, rank, crew.size()));
    const auto gradient = [&](int weight) { return gradient_of(call.dweights, weight); };
    const auto sums = [&](Matrix<T> from, Index columns, Matrix<T> x, Index x_columns, int weight, int bias) {
      const WeightGradients<T> g{time.rows, read_only(from),  columns,       rows_from(x, 0),
                                 x_columns, gradient(weight), gradient(bias)};
      sum_weight_gradients(g, scratch[static_cast<std::size_t>(rank)], rank, crew.size());
    };
    if (call.dweights.empty()) return;
    sums(d.h, hidden, v.x, inputs, l.ih, l.bias_h);
    sums(d.h, hidden, v.fed, outputs, l.oh, -1);
    sums(d.y, outputs, v.h, hidden, l.ho, l.bias_o);
  });

  if (call.dx.data) scatter<T>({d.x.base, d.x.stride}, inputs, time, call.dx);
  if (call.dinitial) {  // that of a sequence without steps is its final one
    if (call.dfinal) std::copy_n(call.dfinal, time.batch * outputs, call.dinitial);
    else std::fill_n(call.dinitial, time.batch * outputs, T(0));
    for (Index row = 0; time.seq_len > 0 && row < time.alive(0); ++row)
      std::copy_n(d.fed.base + row * d.fed.stride, outputs, call.dinitial + time.user_row(row) * outputs);
  }
  if (!call.dtargets.data) return;
  clear_absent(call.dtargets, outputs, time);
  each_row(time, [&](Index t, Index row, Index user, bool last) {
    T* const to = call.dtargets.data + t * call.dtargets.step_stride + user * call.dtargets.batch_stride;
    if (!last) std::copy_n(d.fed.base + (time.first(t + 1) + row) * d.fed.stride, outputs, to);
    else if (call.dfinal) std::copy_n(call.dfinal + user * outputs, outputs, to);
    else std::fill_n(to, outputs, T(0));
  });
}

template <class T>
OutputRnnTape<T>::OutputRnnTape(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
OutputRnnTape<T>::~OutputRnnTape() = default;
template <class T>
OutputRnnTape<T>::OutputRnnTape(OutputRnnTape&&) noexcept = default;
template <class T>
OutputRnnTape<T>& OutputRnnTape<T>::operator=(OutputRnnTape&&) noexcept = default;
template <class T>
std::int64_t OutputRnnTape<T>::seq_len() const {
  return impl_->time.seq_len;
}
template <class T>
std::int64_t OutputRnnTape<T>::batch() const {
  return impl_->time.batch;
}
template <class T>
bool OutputRnnTape<T>::forced() const {
  return impl_->forced;
}

template class OutputRnn<float>;
template class OutputRnn<double>;
template class OutputRnnTape<float>;
template class OutputRnnTape<double>;

}  // namespace gru_native
