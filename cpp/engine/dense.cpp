#include "engine/dense.h"

#include <algorithm>
#include <utility>

#include "engine/outer.h"
#include "engine/rows.h"
#include "runtime/check.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"

namespace gru_native {
namespace {

constexpr Index row_granule = 12;  // whole tiles

// Compact rows of at least `columns`, so wide that whole panels may be read and written.
template <class T>
Matrix<T> compact(Index rows, Index columns, Index lanes, Arena& arena) {
  const Index stride = padded_stride(round_up(columns, 4 * lanes), sizeof(T));
  return {arena.take_zeroed<T>(rows * stride), stride};
}

}  // namespace

template <class T>
PackedDense<T>::PackedDense(const DenseSpec& spec, const T* weight_, const T* bias_)
    : spec(spec), lanes(kernels_for<T>().lanes) {
  weight = pack_rows<T>(spec.output_size, 1, spec.input_size, lanes,
                        [&](int, Index row) { return weight_ + row * spec.input_size; });
  bias = Buffer<T>(columns());
  if (bias_) std::copy_n(bias_, spec.output_size, bias.data());
}

template <class T>
const PackedMatrix<T>& PackedDense<T>::transposed() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (transposed_.panels == 0) transposed_ = transpose(weight, lanes, divide_up(spec.output_size, lanes));
  return transposed_;
}

int useful_threads(const DenseSpec& spec, Index rows) {
  constexpr double member_macs = 200e3;  // about 10 microseconds on one core
  const double macs = double(rows) * double(spec.input_size) * double(spec.output_size);
  return static_cast<int>(std::min(256.0, std::max(1.0, macs / member_macs)));
}

template <class T>
void dense_forward(const PackedDense<T>& w, Rows<const T> x, Index rows, Matrix<T> y, TeamLease& team) {
  const Kernels<T>& kernels = kernels_for<T>();
  team.run([&](int rank) {
    const FlushDenormals flush;
    const Share mine = share_of(rows, row_granule, rank, team.size());
    if (mine.begin == mine.end) return;
    Product<T> p = product_of(w.weight, w.lanes, 1, 0);
    p.a = x;
    p.start = {w.bias.data(), 0, nullptr};
    p.acc = {y.base, y.stride, nullptr};
    p.row_begin = mine.begin;
    p.row_end = mine.end;
    kernels.product(p);
    if (w.spec.activation == Activation::identity) return;
    const auto& f = kernels.activation[static_cast<int>(w.spec.activation)];
    for (Index row = mine.begin; row < mine.end; ++row)
      f.forward(y.base + row * y.stride, y.base + row * y.stride, round_up(w.spec.output_size, w.lanes));
  });
}

template <class T>
void dense_backward(const PackedDense<T>& w, const DenseCall<T>& call, const DenseGradients<T>& gradients,
                    Arena& arena) {
  const Kernels<T>& kernels = kernels_for<T>();
  const Timeline time(call.seq_len, call.batch, call.lengths);
  const Index inputs = w.spec.input_size, outputs = w.spec.output_size, lanes = w.lanes;
  const PackedMatrix<T>* const back = gradients.dx.data ? &w.transposed() : nullptr;
  const Matrix<T> x = compact<T>(time.rows, inputs, lanes, arena), dx = compact<T>(time.rows, inputs, lanes, arena);
  const Matrix<T> y = compact<T>(time.rows, outputs, lanes, arena), d = compact<T>(time.rows, outputs, lanes, arena);
  const T* const zeros = compact<T>(1, inputs, lanes, arena).base;
  TeamLease team(useful_threads(w.spec, time.rows));
  const Index share = outputs / team.size() + outer_granule;
  std::vector<T*> scratch;
  for (int m = 0; m < team.size(); ++m)
    scratch.push_back(arena.take<T>(outer_scratch<T>(std::min(outputs, share), inputs)));
  gather(call.x, inputs, time, x);
  gather<T>({call.y.data, call.y.step_stride, call.y.batch_stride}, outputs, time, y);
  gather(gradients.dy, outputs, time, d);

  Crew all(team.size());
  team.run([&](int rank) {
    const FlushDenormals flush;
    const Share rows = share_of(time.rows, row_granule, rank, team.size());
    const auto& f = kernels.activation[static_cast<int>(w.spec.activation)];
    for (Index row = rows.begin; row < rows.end; ++row) {  // dy becomes the gradient of W x + b, its padding 0
      T* const at = d.base + row * d.stride;
      f.backward(y.base + row * y.stride, at, at, round_up(outputs, lanes));
    }
    if (back && rows.begin < rows.end) {
      Product<T> p = product_of(*back, lanes, 1, 0);
      p.a = {d.base, d.stride, nullptr};
      p.start = {zeros, 0, nullptr};
      p.acc = {dx.base, dx.stride, nullptr};
      p.row_begin = rows.begin;
      p.row_end = rows.end;
      kernels.product(p);
    }
    all.barrier(rank);  // the sums below run over all rows
    const Outer<T> o{time.rows, {d.base, d.stride}, {x.base, x.stride}, inputs, gradients.dweight, gradients.dbias};
    outer(o, share_of(outputs, outer_granule, rank, team.size()), scratch[static_cast<std::size_t>(rank)],
          [](Index column) { return column; });
  });
  if (gradients.dx.data) scatter<T>({dx.base, dx.stride}, inputs, time, gradients.dx);
}

template <class T>
Dense<T>::Impl::Impl(const DenseSpec& spec)
    : spec(spec),
      weight(spec.output_size * spec.input_size),
      bias(spec.bias ? spec.output_size : 0),
      arenas(std::make_shared<ArenaPool>()) {
  weights.push_back({"weight", {spec.output_size, spec.input_size}, weight.data()});
  if (spec.bias) weights.push_back({"bias", {spec.output_size}, bias.data()});
}

template <class T>
std::shared_ptr<const PackedDense<T>> Dense<T>::Impl::current() const {
  const std::lock_guard<std::mutex> lock(mutex);
  return packed;
}

template <class T>
Dense<T>::Dense(const DenseSpec& spec) {
  spec.validate();
  kernels_for<T>();  // an impossible GRU_NATIVE_ISA is reported here
  impl_ = std::make_unique<Impl>(spec);
  commit();
}
template <class T>
Dense<T>::~Dense() = default;
template <class T>
const DenseSpec& Dense<T>::spec() const {
  return impl_->spec;
}
template <class T>
const std::vector<Weight<T>>& Dense<T>::weights() const {
  return impl_->weights;
}

template <class T>
void Dense<T>::commit() {
  std::shared_ptr<const PackedDense<T>> packed =
      std::make_shared<PackedDense<T>>(impl_->spec, impl_->weight.data(), impl_->bias.data());
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  impl_->packed.swap(packed);
}

template <class T>
void Dense<T>::forward(const DenseCall<T>& call) const {
  check_call(impl_->spec, call);
  const Timeline time(call.seq_len, call.batch, call.lengths);
  const auto packed = impl_->current();
  const auto arena = impl_->arenas->lease();
  const Matrix<T> y = compact<T>(time.rows, packed->columns(), packed->lanes, *arena);
  TeamLease team(useful_threads(impl_->spec, time.rows));
  dense_forward(*packed, user_rows(call.x, time, *arena), time.rows, y, team);
  scatter<T>({y.base, y.stride}, impl_->spec.output_size, time, call.y);
}

template <class T>
void Dense<T>::backward(const DenseCall<T>& call, const DenseGradients<T>& gradients) const {
  check_call(impl_->spec, call, gradients);
  const auto arena = impl_->arenas->lease();
  dense_backward(*impl_->current(), call, gradients, *arena);
}

template class PackedDense<float>;
template class PackedDense<double>;
template class Dense<float>;
template class Dense<double>;
template void dense_forward(const PackedDense<float>&, Rows<const float>, Index, Matrix<float>, TeamLease&);
template void dense_forward(const PackedDense<double>&, Rows<const double>, Index, Matrix<double>, TeamLease&);
template void dense_backward(const PackedDense<float>&, const DenseCall<float>&, const DenseGradients<float>&, Arena&);
template void dense_backward(const PackedDense<double>&, const DenseCall<double>&, const DenseGradients<double>&,
                             Arena&);

}  // namespace gru_native
