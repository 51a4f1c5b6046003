#include "engine/model/dense.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "engine/matrix/matrices.h"
#include "engine/matrix/weight_gradients.h"
#include "engine/sequence/rows.h"
#include "engine/threads.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "spec/check_dense.h"
#include "spec/check_precision.h"
#include "spec/checks.h"
#include "spec/tensors.h"

namespace gru_native {
template <class T>
PackedDense<T>::PackedDense(const DenseSpec& spec)
    : spec(spec),
      lanes(kernels_for<T>().lanes),
      weight(empty_panels<T>(spec.output_size, 1, spec.input_size, lanes)),
      bias(columns()),
      one_column(spec.output_size == 1) {
  if (one_column) column = Buffer<T>(round_up(spec.input_size, lanes));
}

template <class T>
PackedDense<T>::PackedDense(const DenseSpec& spec, const QuantizedMatrix& few_bits, const float* bias_)
    : spec(spec), lanes(kernels_for<T>().lanes) {
  if constexpr (std::is_same_v<T, float>) {
    weight = pack_quantized(quantized_kernels_for(spec.precision), spec.output_size, 1, spec.input_size, lanes,
                            [&](int, Index row) { return QuantizedRow{&few_bits, row}; });
    bias = Buffer<T>(columns());
    if (bias_) std::copy_n(bias_, spec.output_size, bias.data());
  }
}

template <class T>
const PackedMatrix<T>& PackedDense<T>::transposed() const {
  return transposed_.get([&] { return empty_transposed(weight, lanes, divide_up(spec.output_size, lanes)); },
                         [&](const PackedMatrix<T>& to) { fill_transposed(weight, to, lanes); });
}

namespace {
template <class T>
Product<T> part_of_dense(const PackedDense<T>& w, Rows<const T> x, Matrix<T> y, const ProductShare& mine) {
  Product<T> p = dense_product(w);
  p.a = x;
  p.start = {w.bias.data(), 0, nullptr};
  p.acc = rows_of(y);
  p.row_begin = mine.rows.begin, p.row_end = mine.rows.end;
  p.panel_begin = mine.panels.begin, p.panel_end = mine.panels.end;
  return p;
}

// A softmax is of whole rows.
template <class T>
ProductShare share_of_dense(const PackedDense<T>& w, Index rows, int member, int members) {
  const DenseActivation f = w.spec.activation;
  if (f == DenseActivation::softmax || f == DenseActivation::log_softmax)
    return {share_of(rows, 1, member, members), {0, w.weight.panels}, true};
  return share_of_product(rows, w.weight.panels, member, members);
}
}  // namespace

template <class T>
void dense_forward(const PackedDense<T>& w, Rows<const T> x, Index rows, Matrix<T> y, TeamLease& team) {
  team.run([&](int rank) {
    const FlushDenormals flush;
    const ProductShare mine = share_of_dense(w, rows, rank, team.size());
    if (mine.empty()) return;
    multiply(part_of_dense(w, x, y, mine));
    const Share columns = units_of(mine.panels, panel_columns<T>(), w.spec.output_size);
    activate(w.spec.activation, Matrix<T>{y.base + columns.begin, y.stride}, columns.end - columns.begin, mine.rows);
  });
}

template <class T>
Dense<T>::Impl::Impl(const DenseSpec& spec) : spec(spec), store(spec.precision) {
  each_name(spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) { store.add(name, shape); });
}

template <class T>
Dense<T>::Dense(const DenseSpec& spec) {
  spec.validate();
  check_new(spec.precision);
  impl_ = std::make_unique<Impl>(spec);
  impl_->store.replace(impl_->reserve());  // zeros, as the weights are
}
template <class T>
Dense<T>::Dense(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
Dense<T>::~Dense() = default;
template <class T>
Dense<T>::Dense(Dense&&) noexcept = default;
template <class T>
Dense<T>& Dense<T>::operator=(Dense&&) noexcept = default;
template <class T>
const DenseSpec& Dense<T>::spec() const {
  return impl_->spec;
}
template <class T>
const std::vector<Weight<const T>>& Dense<T>::weights() const {
  return impl_->store.shown();
}

template <class T>
WeightEdit<T> Dense<T>::edit() {
  return impl_->store.edit(*impl_);
}

template <class T>
std::shared_ptr<PackedDense<T>> Dense<T>::Impl::reserve() const {
  return std::make_shared<PackedDense<T>>(spec);
}

template <class T>
void Dense<T>::Impl::fill(PackedDense<T>& packed) const {
  packed.forget_transposed();
  const T* const weight = store.data(0);
  fill_panels(packed.weight, spec.output_size, packed.lanes,
              [&](int, Index row) { return weight + row * spec.input_size; });
  if (packed.one_column) std::copy_n(weight, spec.input_size, packed.column.data());
  if (spec.bias) std::copy_n(store.data(1), spec.output_size, packed.bias.data());
}

namespace {

// Outputs go straight to the user's rows, unless there is more to do to them: then by way of what is returned.
template <class T>
Matrix<T> forward_to(const PackedDense<T>& w, Rows<const T> x, const Timeline& time, const Sequences<T>& to,
                     Arena& arena, TeamLease& team) {
  const Index outputs = w.spec.output_size;
  if (w.spec.activation != DenseActivation::identity) {
    const Matrix<T> y = take_matrix<T>(arena, time.rows, w.columns());
    dense_forward(w, x, time.rows, y, team);
    scatter(read_only(y), outputs, time, to, &team);
    return y;
  }
  clear_absent(to, outputs, time);
  const Rows<T> rows = user_rows(to, time, arena);
  const Matrix<T> last = take_matrix<T>(arena, time.rows, 1);
  team.run([&](int rank) {
    const FlushDenormals flush;
    const ProductShare mine = share_of_product(time.rows, w.weight.panels, rank, team.size());
    if (!mine.empty()) multiply_to(part_of_dense(w, x, {}, mine), mine.panels, outputs, rows, last);
  });
  return {};
}

}  // namespace

template <class T>
void Dense<T>::forward(const DenseForwardCall<T>& call) const {
  check_call(impl_->spec, call);
  const Timeline time(call.seq_len, call.batch, call.lengths);
  const auto packed = impl_->store.packed();
  const auto arena = impl_->store.lease();
  TeamLease team(useful_threads(impl_->spec, time.rows), {impl_.get(), time.rows});
  forward_to(*packed, user_rows(call.x, time, *arena), time, call.y, *arena, team);
}

template <class T>
std::shared_ptr<const DenseTape<T>> Dense<T>::forward_with_tape(const DenseForwardCall<T>& call) const {
  const DenseSpec& spec = impl_->spec;
  check_call(spec, call);
  impl_->store.check_full("train");
  auto tape = std::make_unique<ImplOf<DenseTape<T>>>(impl_->store.begin_tape(),
                                                     Timeline(call.seq_len, call.batch, call.lengths));
  const Timeline& time = tape->time;
  tape->x = take_matrix<T>(*tape->arena, time.rows, spec.input_size);
  TeamLease team(useful_threads(spec, time.rows), {impl_.get(), time.rows});
  gather(call.x, spec.input_size, time, tape->x, &team);
  tape->y = forward_to(*tape->packed, rows_from(tape->x, 0), time, call.y, *tape->arena, team);
  return make_handle<DenseTape<T>>(std::move(tape));
}

template <class T>
void Dense<T>::check(const DenseTape<T>& tape) const {
  impl_->store.check(impl_of(tape));
}

template <class T>
void Dense<T>::backward(const DenseTape<T>& tape_, const DenseBackwardCall<T>& call) const {
  check(tape_);
  const auto& tape = impl_of(tape_);
  const DenseSpec& spec = impl_->spec;
  const Timeline& time = tape.time;
  check_call(spec, call, time.user_len, time.batch, impl_->store.list().size());
  const auto lease = impl_->store.lease();
  Arena& arena = *lease;
  const Index inputs = spec.input_size, outputs = spec.output_size;
  const PackedMatrix<T>* const back = call.dx.data ? &tape.packed->transposed() : nullptr;
  const T* const zeros = take_zeroed_matrix<T>(arena, 1, inputs).base;
  TeamLease team(useful_threads(spec, time.rows), {impl_.get(), time.rows});
  std::vector<T*> scratch;
  for (int m = 0; m < team.size(); ++m)
    scratch.push_back(arena.take<T>(weight_gradients_scratch<T>(outputs, inputs, team.size())));
  // The gradient of W x + b: that of y where it lies, or a copy.
  Matrix<T> copied{};
  Rows<const T> d = user_rows(call.dy, time, arena);
  if (spec.activation != DenseActivation::identity || d.offset) {
    copied = take_padded_matrix<T>(arena, time.rows, outputs);
    gather(call.dy, outputs, time, copied, &team);
    d = rows_from(copied, 0);
  }
  Rows<T> dx{};
  Matrix<T> last{};
  if (back) {
    clear_absent(call.dx, inputs, time);
    dx = user_rows(call.dx, time, arena);
    last = take_matrix<T>(arena, time.rows, 1);
  }

  Crew all(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    activate_backward(spec.activation, tape.y, copied, outputs, share_of(time.rows, 1, rank, team.size()));
    all.barrier(rank);  // what follows may read all rows
    if (back) {
      const ProductShare mine = share_of_product(time.rows, back->panels, rank, team.size());
      Product<T> p = product_of_rows(*back, d, {zeros, 0, nullptr}, {}, mine.rows);
      p.depth = outputs;
      if (!mine.empty()) multiply_to(p, mine.panels, inputs, dx, last);
    }
    if (call.dweights.empty()) return;
    const WeightGradients<T> sums{time.rows,
                                  {d.base, d.stride},
                                  outputs,
                                  rows_from(tape.x, 0),
                                  inputs,
                                  gradient_of(call.dweights, 0),
                                  gradient_of(call.dweights, spec.bias ? 1 : -1)};
    sum_weight_gradients(sums, scratch[static_cast<std::size_t>(rank)], rank, team.size());
  });
}

template <class T>
DenseTape<T>::DenseTape(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
DenseTape<T>::~DenseTape() = default;
template <class T>
DenseTape<T>::DenseTape(DenseTape&&) noexcept = default;
template <class T>
DenseTape<T>& DenseTape<T>::operator=(DenseTape&&) noexcept = default;
template <class T>
std::int64_t DenseTape<T>::seq_len() const {
  return impl_->time.user_len;
}
template <class T>
std::int64_t DenseTape<T>::batch() const {
  return impl_->time.batch;
}

template class PackedDense<float>;
template class PackedDense<double>;
template <>
Dense<float> Dense<float>::quantize(Precision precision) const;  // quantize.cpp
template <>
Dense<double> Dense<double>::quantize(Precision precision) const;
template class Dense<float>;
template class Dense<double>;
template class DenseTape<float>;
template class DenseTape<double>;
template void dense_forward(const PackedDense<float>&, Rows<const float>, Index, Matrix<float>, TeamLease&);
template void dense_forward(const PackedDense<double>&, Rows<const double>, Index, Matrix<double>, TeamLease&);

}  // namespace gru_native
