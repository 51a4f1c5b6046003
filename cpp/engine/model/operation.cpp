#include "engine/model/operation.h"

#include "engine/sequence/rows.h"
#include "engine/threads.h"
#include "spec/check_operation.h"
#include "spec/check_precision.h"
#include "spec/tensors.h"

namespace gru_native {
namespace {

Timeline output_timeline(const OperationSpec& spec, const Timeline& in) {
  return in.mapped([&](Index steps) { return steps > 0 ? spec.output_len(steps) : Index(0); });
}

}  // namespace

template <class T>
Operation<T>::Impl::Impl(const OperationSpec& spec) : spec(spec) {
  each_name(spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) { store.add(name, shape); });
}

template <class T>
std::shared_ptr<PackedOperation<T>> Operation<T>::Impl::reserve() const {
  return std::visit([&](const auto& own) { return pack<T>(spec, own); }, spec.kind);
}

template <class T>
Operation<T>::Operation(const OperationSpec& spec) {
  spec.validate();
  check_numbers<T>(spec);
  impl_ = std::make_unique<Impl>(spec);
  impl_->store.commit(*impl_);
}
template <class T>
Operation<T>::~Operation() = default;
template <class T>
Operation<T>::Operation(Operation&&) noexcept = default;
template <class T>
Operation<T>& Operation<T>::operator=(Operation&&) noexcept = default;
template <class T>
const OperationSpec& Operation<T>::spec() const {
  return impl_->spec;
}
template <class T>
const std::vector<Weight<const T>>& Operation<T>::weights() const {
  return impl_->store.shown();
}
template <class T>
WeightEdit<T> Operation<T>::edit() {
  return impl_->store.edit(*impl_);
}

template <class T>
void Operation<T>::Impl::forward(const OperationForwardCall<T>& call, const Ending<T>& ending) const {
  check_call(spec, call);
  const auto packed = store.packed();
  packed->check(call.x, call.seq_len, call.batch, call.lengths);
  const Timeline in(call.seq_len, call.batch, call.lengths), out = output_timeline(spec, in);
  const Index inputs = input_size(spec, call), images = channels(spec, call);
  const Index outputs = spec.output_size(inputs, images);
  const auto arena = store.lease();
  const Rows<const T> x = user_rows(call.x, in, *arena);
  const Rows<T> to = packed->writes_only_outputs() ? user_rows(call.y, out, *arena) : Rows<T>{};
  const bool straight = to.base && !to.offset;  // where the user has them
  const Matrix<T> y = straight ? Matrix<T>{to.base, to.stride} : take_padded_matrix<T>(*arena, out.rows, outputs);
  TeamLease team(useful_threads(packed->macs_of_row(inputs) * static_cast<double>(in.rows)), {this, in.rows});
  packed->forward({in, out, inputs, outputs, images, arena.get(), false, ending.swish, ending.bias, ending.parts}, x, y,
                  team, nullptr);
  if (!straight) scatter(read_only(y), outputs, out, call.y, &team);
}

template <class T>
void Operation<T>::forward(const OperationForwardCall<T>& call) const {
  impl_->forward(call, {});
}

template <class T>
void forward_swish(const Operation<T>& convolution, const OperationForwardCall<T>& call) {
  impl_of(convolution).forward(call, {true});
}

template <class T>
void forward_of_parts(const Operation<T>& convolution, const OperationForwardCall<T>& call, const ImageParts<T>& parts,
                      bool swish) {
  impl_of(convolution).forward(call, {swish, nullptr, &parts});
}

template <class T>
std::shared_ptr<const OperationTape<T>> Operation<T>::forward_with_tape(const OperationForwardCall<T>& call) const {
  check_call(impl_->spec, call);
  check_trainable(impl_->spec);
  Timeline in(call.seq_len, call.batch, call.lengths), out = output_timeline(impl_->spec, in);
  const Index inputs = input_size(impl_->spec, call), images = channels(impl_->spec, call);
  const Index outputs = impl_->spec.output_size(inputs, images);
  auto tape = std::make_unique<ImplOf<OperationTape<T>>>(impl_->store.begin_tape(), std::move(in), std::move(out),
                                                         inputs, outputs, images);
  tape->packed->check(call.x, call.seq_len, call.batch, call.lengths);
  const Matrix<T> y = take_padded_matrix<T>(*tape->arena, tape->out.rows, outputs);
  const Rows<const T> x = user_rows(call.x, tape->in, *tape->arena);
  TeamLease team(useful_threads(tape->packed->macs_of_row(inputs) * static_cast<double>(tape->in.rows)),
                 {impl_.get(), tape->in.rows});
  OperationRows rows = tape->rows();
  rows.training = call.training;
  tape->packed->forward(rows, x, y, team, &tape->kept);
  scatter(read_only(y), outputs, tape->out, call.y, &team);
  return make_handle<OperationTape<T>>(std::move(tape));
}

template <class T>
void Operation<T>::check(const OperationTape<T>& tape) const {
  impl_->store.check(impl_of(tape));
}

template <class T>
void Operation<T>::statistics(const OperationTape<T>& tape, T* running_mean, T* running_var) const {
  check(tape);
  impl_->store.packed()->statistics(impl_of(tape).kept, running_mean, running_var);
}

template <class T>
void Operation<T>::backward(const OperationTape<T>& tape_, const OperationBackwardCall<T>& call) const {
  check(tape_);
  const auto& tape = impl_of(tape_);
  check_call(impl_->spec, call, tape.in.user_len, tape.in.batch, tape.inputs, tape.outputs, impl_->store.list().size());
  const auto arena = impl_->store.lease();
  const bool in_place = tape.packed->keeps_to_rows();  // rows may then lie as the user has them
  const Rows<const T> dy = in_place ? user_rows(call.dy, tape.out, *arena) : Rows<const T>{};
  const bool reads = dy.base && !dy.offset;
  const Matrix<T> d = reads ? Matrix<T>{const_cast<T*>(dy.base), dy.stride}
                            : take_padded_matrix<T>(*arena, tape.out.rows, tape.outputs);
  Rows<T> to{};
  if (in_place && call.dx.data) to = user_rows(call.dx, tape.in, *arena);
  const bool writes = to.base && !to.offset;
  Matrix<T> dx{to.base, to.stride};
  if (call.dx.data && !writes) dx = take_zeroed_matrix<T>(*arena, tape.in.rows, tape.inputs);
  TeamLease team(useful_threads(2 * tape.packed->macs_of_row(tape.inputs) * static_cast<double>(tape.in.rows)),
                 {impl_.get(), tape.in.rows});
  if (!reads) gather(call.dy, tape.outputs, tape.out, d, &team);
  tape.packed->backward(tape.rows(), tape.kept, d, dx, call.dweights, *arena, team);
  if (dx.base && !writes) scatter(read_only(dx), tape.inputs, tape.in, call.dx, &team);
}

template <class T>
OperationTape<T>::OperationTape(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
OperationTape<T>::~OperationTape() = default;
template <class T>
OperationTape<T>::OperationTape(OperationTape&&) noexcept = default;
template <class T>
OperationTape<T>& OperationTape<T>::operator=(OperationTape&&) noexcept = default;
template <class T>
std::int64_t OperationTape<T>::seq_len() const {
  return impl_->in.user_len;
}
template <class T>
std::int64_t OperationTape<T>::batch() const {
  return impl_->in.batch;
}
template <class T>
const std::vector<std::int64_t>& OperationTape<T>::rows() const {
  return impl_->kept.ids;
}

template class Operation<float>;
template class Operation<double>;
template void forward_swish(const Operation<float>&, const OperationForwardCall<float>&);
template void forward_swish(const Operation<double>&, const OperationForwardCall<double>&);
template void forward_of_parts(const Operation<float>&, const OperationForwardCall<float>&, const ImageParts<float>&,
                               bool);
template void forward_of_parts(const Operation<double>&, const OperationForwardCall<double>&, const ImageParts<double>&,
                               bool);
template class OperationTape<float>;
template class OperationTape<double>;

}  // namespace gru_native
