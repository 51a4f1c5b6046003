// J and M come from the time loop's own backward step: its gradients of one number of the state, by the state before
// and by the weights, are one row of each.
#include "gru_native/rtrl.h"

#include <algorithm>
#include <deque>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/matrix/matrices.h"
#include "engine/sequence/direction_forward.h"
#include "engine/sequence/layer_impl.h"
#include "engine/threads.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "runtime/serial.h"
#include "spec/check_layer.h"
#include "spec/checks.h"

namespace gru_native {

template <class T>
struct Rtrl<T>::Impl {
  const Serial serial;
  std::shared_ptr<const Layer<T>> layer;
  LayerSpec spec;
  Index batch;
  // Rows of P: what recurs, h and then c; behind it the outputs that do not recur.
  Index h_size, c_size, recurrent, rows;
  std::vector<Index> place;    // of each weight among the columns, [weights + 1]
  Index stride;                // of P's rows
  Buffer<T> influence[2];      // P before and after a step, [batch][rows][stride]
  std::vector<T> h, c, h_next, c_next;
  std::vector<char> fresh;     // [batch]: P is zero
  Arena arena;

  Impl(std::shared_ptr<const Layer<T>> layer, Index batch);

  Index row_size() const { return rows * stride; }
  Matrix<T> influence_of(int which, Index b) const { return {influence[which].data() + b * row_size(), stride}; }
  // Something times the first `depth` rows of a P.
  Product<T> product(Matrix<T> p, Index depth) const { return product_by(read_only(p), depth, place.back()); }
  void step(const T* x, T* y);
  void gradient(const T* dy, const States<const T>& dstate, const std::vector<T*>& dweights);
  void reset(const bool* mask);
  template <class F>
  void each_carried(const F& f);
};

// All that one step needs for one sequence, and each member its own way back.
namespace {
template <class T>
struct Member {
  std::deque<DirectionBackward<T>> backward;  // [batch]
  std::vector<T*> dweights;
  T *scratch, *doutput, *dc;
};
}  // namespace

template <class T>
Rtrl<T>::Impl::Impl(std::shared_ptr<const Layer<T>> l, Index batch)
    : layer(std::move(l)), spec(layer->spec()), batch(batch) {
  impl_of(*layer).store.check_full("train");
  h_size = spec.state_size();
  c_size = spec.has_c() ? spec.hidden_size : 0;
  recurrent = h_size + c_size;
  rows = spec.output_size() + c_size;
  place.push_back(0);
  for (const Weight<const T>& w : layer->weights()) place.push_back(place.back() + w.size());
  stride = panel_stride<T>(place.back());
  const double numbers = static_cast<double>(batch) * static_cast<double>(rows) * static_cast<double>(stride);
  check_fits("the derivatives", numbers, {{"batch_size", batch}, {"hidden_size", spec.hidden_size}});
  for (Buffer<T>& p : influence) p = Buffer<T>(batch * row_size());
  for (std::vector<T>* v : {&h, &h_next}) v->resize(static_cast<std::size_t>(batch * h_size));
  for (std::vector<T>* v : {&c, &c_next}) v->resize(static_cast<std::size_t>(batch * c_size));
  fresh.assign(static_cast<std::size_t>(batch), 1);
}

template <class T>
void Rtrl<T>::Impl::step(const T* x, T* y) {
  const auto packed = impl_of(*layer).current();
  const Timeline once(1, 1, nullptr);
  const Index outputs = spec.output_size(), inputs = spec.input_size;
  TeamLease team(useful_threads(double(batch) * double(rows) * double(recurrent) * double(stride)), {this, batch});
  arena.reset();

  std::deque<DirectionTape<T>> tapes(static_cast<std::size_t>(batch));
  std::deque<DirectionForward<T>> forward;
  for (DirectionTape<T>& tape : tapes)
    forward.emplace_back(spec, *packed, packed->forward[0], once, false, 1, &tape, arena);
  const Matrix<T> x_rows = take_matrix<T>(arena, batch, inputs);
  const Matrix<T> jacobian = take_matrix<T>(arena, batch * rows, recurrent);
  const T* const zeros = arena.take_zeroed<T>(std::max(h_size, Index(1)));
  std::deque<Member<T>> members;
  for (int m = 0; m < team.size(); ++m) {
    Member<T>& own = members.emplace_back();
    for (const DirectionTape<T>& tape : tapes) own.backward.emplace_back(spec, *packed, 0, once, false, tape, arena);
    own.dweights.resize(place.size() - 1);
    own.scratch = arena.take<T>(own.backward[0].gradient_scratch(inputs, 1));
    own.doutput = arena.take_zeroed<T>(outputs);
    own.dc = arena.take_zeroed<T>(std::max(c_size, Index(1)));
  }

  const auto forward_of = [&](Index b, Crew& alone) {
    std::copy_n(x + b * inputs, inputs, x_rows.base + b * x_rows.stride);
    DirectionForward<T>& f = forward[static_cast<std::size_t>(b)];
    f.load_state(h.data() + b * h_size, c_size ? c.data() + b * c_size : nullptr);
    f.run({rows_from(x_rows, b), 0, StepRows<T>::compact({y + b * outputs, outputs})}, 0, 1, 0, alone);
    f.advance(1);
    f.store_state(h_next.data() + b * h_size, c_size ? c_next.data() + b * c_size : nullptr);
  };
  // Row k of J and M: the gradients of one number alone.
  const auto derivatives_of = [&](Index b, Index k, Member<T>& own, Crew& alone) {
    const bool of_c = k >= h_size && k < recurrent;
    T& one = of_c ? own.dc[k - h_size] : own.doutput[k < h_size ? k : k - c_size];
    one = T(1);
    T* const j = jacobian.base + (b * rows + k) * jacobian.stride;
    typename DirectionBackward<T>::Io io{};
    io.dy = StepRows<const T>::compact({own.doutput, outputs});
    io.dh_final = zeros;
    io.dc_final = c_size ? own.dc : nullptr;
    io.dh_initial = j;
    io.dc_initial = c_size ? j + h_size : nullptr;
    DirectionBackward<T>& d = own.backward[static_cast<std::size_t>(b)];
    d.run(io, 0, alone);
    T* const m = influence[1].data() + b * row_size() + k * stride;
    for (std::size_t w = 0; w < own.dweights.size(); ++w) own.dweights[w] = m + place[w];
    d.weight_gradients(from_row(x_rows, b), inputs, impl_of(*layer).gradients_of(0, own.dweights), own.scratch, 0, 1);
    one = T(0);
  };

  Crew all(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    Crew alone;
    const Share mine = share_of(batch, 1, rank, team.size());
    for (Index b = mine.begin; b < mine.end; ++b) forward_of(b, alone);
    all.barrier(rank);
    const Share mine_rows = share_of(batch * rows, 1, rank, team.size());
    Progress progress;
    for (Index i = mine_rows.begin; i < mine_rows.end; ++i) {
      progress.add(macs_of_copy * static_cast<double>(place.back()));
      derivatives_of(i / rows, i % rows, members[static_cast<std::size_t>(rank)], alone);
    }
    all.barrier(rank);
    const Share panels = share_of(divide_up(place.back(), panel_columns<T>()), 1, rank, team.size());
    for (Index b = 0; b < batch; ++b) {
      look();
      Product<T> p = product(influence_of(0, b), fresh[static_cast<std::size_t>(b)] ? 0 : recurrent);
      const Matrix<T> next = influence_of(1, b);
      p.panel_begin = panels.begin, p.panel_end = panels.end;
      p.row_end = rows;
      p.a = rows_from(jacobian, b * rows);
      p.acc = {next.base, next.stride, nullptr};
      p.start = {next.base, next.stride, nullptr};
      multiply(p);
    }
  });
  std::swap(influence[0], influence[1]);
  h.swap(h_next);
  c.swap(c_next);
  std::fill(fresh.begin(), fresh.end(), char(0));
}

template <class T>
void Rtrl<T>::Impl::gradient(const T* dy, const States<const T>& dstate, const std::vector<T*>& dweights) {
  TeamLease team(useful_threads(double(batch) * double(rows) * double(stride)), {this, batch});
  arena.reset();
  const Matrix<T> d = take_zeroed_matrix<T>(arena, batch, rows);
  T* const sum = arena.take_zeroed<T>(stride);
  const Index outputs = spec.output_size();
  for (Index b = 0; b < batch; ++b) {
    T* const row = d.base + b * d.stride;
    for (Index k = 0; dy && k < outputs; ++k) row[k < h_size ? k : k + c_size] = dy[b * outputs + k];
    for (Index k = 0; dstate.h && k < h_size; ++k) row[k] += dstate.h[b * h_size + k];
    for (Index k = 0; dstate.c && k < c_size; ++k) row[h_size + k] = dstate.c[b * c_size + k];
  }
  team.run([&](int rank) {
    const FlushDenormals flush;
    const Share panels = share_of(divide_up(place.back(), panel_columns<T>()), 1, rank, team.size());
    for (Index b = 0; b < batch; ++b) {
      Product<T> p = product(influence_of(0, b), rows);
      p.panel_begin = panels.begin, p.panel_end = panels.end;
      p.row_end = 1;
      p.a = rows_from(d, b);
      p.acc = {sum, stride, nullptr};
      p.start = {sum, stride, nullptr};
      multiply(p);
    }
  });
  for (std::size_t w = 0; w < dweights.size(); ++w)
    if (dweights[w]) std::copy_n(sum + place[w], place[w + 1] - place[w], dweights[w]);
}

template <class T>
void Rtrl<T>::Impl::reset(const bool* mask) {
  for (Index b = 0; b < batch; ++b) {
    if (mask && !mask[b]) continue;
    std::fill_n(h.begin() + b * h_size, h_size, T(0));
    std::fill_n(c.begin() + b * c_size, c_size, T(0));
    std::fill_n(influence_of(0, b).base, row_size(), T(0));
    fresh[static_cast<std::size_t>(b)] = 1;
  }
}

template <class T>
Rtrl<T>::Rtrl(std::shared_ptr<const Layer<T>> layer, std::int64_t batch) {
  if (!layer) throw std::invalid_argument("layer is null");
  check_rtrl(layer->spec(), batch);
  impl_ = std::make_unique<Impl>(std::move(layer), batch);
}
template <class T>
Rtrl<T>::~Rtrl() = default;
template <class T>
Rtrl<T>::Rtrl(Rtrl&&) noexcept = default;
template <class T>
Rtrl<T>& Rtrl<T>::operator=(Rtrl&&) noexcept = default;

template <class T>
const LayerSpec& Rtrl<T>::spec() const {
  return impl_->spec;
}
template <class T>
std::int64_t Rtrl<T>::batch() const {
  return impl_->batch;
}

template <class T>
void Rtrl<T>::step(const T* x, T* y) {
  impl_->step(x, y);
}

template <class T>
void Rtrl<T>::gradient(const T* dy, const States<const T>& dstate, const std::vector<T*>& dweights) const {
  if (dweights.size() + 1 != impl_->place.size())
    throw std::invalid_argument("dweights.size() is " + std::to_string(dweights.size()) + "; expected " +
                                std::to_string(impl_->place.size() - 1));
  impl_->gradient(dy, dstate, dweights);
}

template <class T>
void Rtrl<T>::save_state(const States<T>& to) const {
  if (to.h) std::copy(impl_->h.begin(), impl_->h.end(), to.h);
  if (to.c) std::copy(impl_->c.begin(), impl_->c.end(), to.c);
}

template <class T>
void Rtrl<T>::load_state(const States<const T>& from) {
  impl_->reset(nullptr);
  if (from.h) std::copy_n(from.h, impl_->h.size(), impl_->h.begin());
  if (from.c) std::copy_n(from.c, impl_->c.size(), impl_->c.begin());
}

// f(where numbers lie, how many) for all that goes from step to step, but `fresh`; without what pads P's rows.
template <class T>
template <class F>
void Rtrl<T>::Impl::each_carried(const F& f) {
  f(h.data(), batch * h_size);
  f(c.data(), batch * c_size);
  for (Index b = 0; b < batch; ++b)
    for (Index row = 0; row < rows; ++row) f(influence_of(0, b).base + row * stride, place.back());
}

template <class T>
std::int64_t Rtrl<T>::carried_size() const {
  const Impl& r = *impl_;
  return r.batch * (r.h_size + r.c_size + r.rows * r.place.back() + 1);
}
template <class T>
void Rtrl<T>::save_carried(T* to) const {
  impl_->each_carried([&](const T* from, Index n) { to = std::copy_n(from, n, to); });
  std::copy(impl_->fresh.begin(), impl_->fresh.end(), to);
}
template <class T>
void Rtrl<T>::load_carried(const T* from) {
  impl_->each_carried([&](T* to, Index n) { std::copy_n(from, n, to), from += n; });
  std::transform(from, from + impl_->batch, impl_->fresh.begin(), [](T flag) { return char(flag != 0); });
}

template <class T>
void Rtrl<T>::reset(const bool* mask) {
  impl_->reset(mask);
}

template class Rtrl<float>;
template class Rtrl<double>;

}  // namespace gru_native
