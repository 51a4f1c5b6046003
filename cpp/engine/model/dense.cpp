#include "engine/model/dense.h"

#include <algorithm>
#include <utility>

#include "engine/matrix/matrices.h"
#include "engine/matrix/weight_gradients.h"
#include "engine/sequence/rows.h"
#include "engine/threads.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "spec/tensors.h"
#include "spec/validation.h"

namespace gru_native {
template <class T>
PackedDense<T>::PackedDense(const DenseSpec& spec)
    : spec(spec),
      lanes(kernels_for<T>().lanes),
      weight(empty_panels<T>(spec.output_size, 1, spec.input_size, lanes)),
      bias(columns()) {}

template <class T>
const PackedMatrix<T>& PackedDense<T>::transposed() const {
  return transposed_.get([&] { return transpose(weight, lanes, divide_up(spec.output_size, lanes)); });
}

template <class T>
void dense_forward(const PackedDense<T>& w, Rows<const T> x, Index rows, Matrix<T> y, TeamLease& team) {
  team.run([&](int rank) {
    const FlushDenormals flush;
    const Share mine = share_of(rows, whole_tiles, rank, team.size());
    if (mine.begin == mine.end) return;
    multiply(w.weight, x, {w.bias.data(), 0, nullptr}, y, mine);
    activate(w.spec.activation, y, w.spec.output_size, mine);
  });
}

template <class T>
void dense_backward(const PackedDense<T>& w, const DenseCall<T>& call, const DenseGradients<T>& gradients,
                    Arena& arena) {
  const Timeline time(call.seq_len, call.batch, call.lengths);
  const Index inputs = w.spec.input_size, outputs = w.spec.output_size;
  const PackedMatrix<T>* const back = gradients.dx.data ? &w.transposed() : nullptr;
  const auto matrix = [&](Index rows, Index columns) { return take_zeroed_matrix<T>(arena, rows, columns); };
  const Matrix<T> dx = matrix(time.rows, inputs);
  const Matrix<T> y = matrix(time.rows, outputs), d = matrix(time.rows, outputs);
  const T* const zeros = matrix(1, inputs).base;
  const Rows<const T> x = user_rows(call.x, time, arena);
  TeamLease team(useful_threads(w.spec, time.rows));
  std::vector<T*> scratch;
  for (int m = 0; m < team.size(); ++m)
    scratch.push_back(arena.take<T>(weight_gradients_scratch<T>(outputs, inputs, team.size())));
  gather<T>({call.y.data, call.y.step_stride, call.y.batch_stride}, outputs, time, y);
  gather(gradients.dy, outputs, time, d);

  Crew all(team.size());
  team.run([&](int rank) {
    const FlushDenormals flush;
    const Share rows = share_of(time.rows, whole_tiles, rank, team.size());
    activate_backward(w.spec.activation, y, d, outputs, rows);  // of W x + b; its padding is 0
    if (back && rows.begin < rows.end) multiply(*back, rows_from(d, 0), {zeros, 0, nullptr}, dx, rows);
    all.barrier(rank);  // the sums below run over all rows
    const WeightGradients<T> sums{time.rows, read_only(d), outputs, x, inputs, gradients.dweight, gradients.dbias};
    sum_weight_gradients(sums, scratch[static_cast<std::size_t>(rank)], rank, team.size());
  });
  if (gradients.dx.data) scatter<T>({dx.base, dx.stride}, inputs, time, gradients.dx);
}

template <class T>
Dense<T>::Impl::Impl(const DenseSpec& spec) : spec(spec) {
  each_name(spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) { store.add(name, shape); });
}

template <class T>
Dense<T>::Dense(const DenseSpec& spec) {
  spec.validate();
  impl_ = std::make_unique<Impl>(spec);
  impl_->store.commit(*impl_);
}
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
  return impl_->store.list();
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
  const T* const weight = store.data(0);
  fill_panels(packed.weight, spec.output_size, packed.lanes,
              [&](int, Index row) { return weight + row * spec.input_size; });
  if (spec.bias) std::copy_n(store.data(1), spec.output_size, packed.bias.data());
}

template <class T>
void Dense<T>::forward(const DenseCall<T>& call) const {
  check_call(impl_->spec, call);
  const Timeline time(call.seq_len, call.batch, call.lengths);
  const auto packed = impl_->store.packed();
  const auto arena = impl_->store.lease();
  const Matrix<T> y = take_zeroed_matrix<T>(*arena, time.rows, packed->columns());
  TeamLease team(useful_threads(impl_->spec, time.rows));
  dense_forward(*packed, user_rows(call.x, time, *arena), time.rows, y, team);
  scatter<T>({y.base, y.stride}, impl_->spec.output_size, time, call.y);
}

template <class T>
void Dense<T>::backward(const DenseCall<T>& call, const DenseGradients<T>& gradients) const {
  check_call(impl_->spec, call, gradients);
  const auto arena = impl_->store.lease();
  dense_backward(*impl_->store.packed(), call, gradients, *arena);
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
