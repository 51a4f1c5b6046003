// The public TreeLayer: weights by name, one call forward, one call backward.
#include "engine/tree/tree_layer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/threads.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "spec/check_tree.h"
#include "spec/checks.h"
#include "spec/tensors.h"

namespace gru_native {

template <class T>
TreeLayer<T>::Impl::Impl(const TreeSpec& s) : spec(s), store(spec.precision) {
  each_name(spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) { store.add(name, shape); });
  const bool nary = spec.cell == TreeCell::nary;
  index.ih = store.find("weight_ih"), index.bias = store.find("bias");
  index.hh = store.find(nary ? "weight_hh_iog" : "weight_hh"), index.hh_f = store.find("weight_hh_f");
}

template <class T>
Forest TreeLayer<T>::Impl::forest_of(const TreeForwardCall<T>& call) const {
  check_call(spec, call);
  return {call.nodes, call.parents, spec.cell == TreeCell::nary ? call.slots : nullptr, spec.arity};
}

template <class T>
TreeLayer<T>::TreeLayer(const TreeSpec& spec) {
  spec.validate();
  check_new(spec.precision);
  impl_ = std::make_unique<Impl>(spec);
  impl_->store.commit(*impl_);
}
template <class T>
TreeLayer<T>::TreeLayer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
TreeLayer<T>::~TreeLayer() = default;
template <class T>
TreeLayer<T>::TreeLayer(TreeLayer&&) noexcept = default;
template <class T>
TreeLayer<T>& TreeLayer<T>::operator=(TreeLayer&&) noexcept = default;

template <class T>
const TreeSpec& TreeLayer<T>::spec() const {
  return impl_->spec;
}

template <class T>
const std::vector<Weight<const T>>& TreeLayer<T>::weights() const {
  return impl_->store.shown();
}

template <class T>
WeightEdit<T> TreeLayer<T>::edit() {
  return impl_->store.edit(*impl_);
}
template <class T>
TreeLayer<T> TreeLayer<T>::quantize(Precision precision) const {
  return quantized_copy<T>(*this, precision);
}
TreeLayer<float> quantized_layer(const TreeSpec& spec, std::vector<QuantizedWeight> weights) {
  return layer_of_few_bits<TreeLayer<float>>(spec, std::move(weights));
}

namespace {

int threads_for(const TreeSpec& spec, const Forest& f) {
  return useful_threads(spec, f.rows, f.leaves, f.edges(), f.heights());
}

template <class T>
void run(const ForestForward<T>& forward, const TreeForwardCall<T>& call, int threads, const Repeated& kind) {
  TeamLease team(threads, kind);
  Crew crew(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    forward.run(call.h, call.c, rank, crew);
  });
}

}  // namespace

template <class T>
void TreeLayer<T>::forward(const TreeForwardCall<T>& call) const {
  const TreeSpec& spec = impl_->spec;
  const Forest forest = impl_->forest_of(call);
  const auto packed = impl_->store.packed();
  const auto arena = impl_->store.lease();
  Index* const x_at = arena->template take<Index>(forest.rows);
  for (Index row = 0; row < forest.rows; ++row) x_at[row] = forest.node[row] * spec.input_size;
  const ForestForward<T> forward(spec, *packed, forest, {call.x, 0, x_at}, *arena, *arena);
  run(forward, call, threads_for(spec, forest), {impl_.get(), forest.rows});
}

template <class T>
std::shared_ptr<const TreeTape<T>> TreeLayer<T>::forward_with_tape(const TreeForwardCall<T>& call) const {
  const TreeSpec& spec = impl_->spec;
  impl_->store.check_full("train");
  auto tape = std::make_unique<ImplOf<TreeTape<T>>>(impl_->store.begin_tape(), impl_->forest_of(call));
  const Forest& forest = tape->forest;
  const auto scratch = impl_->store.lease();

  // The input is copied: a tape stays right whatever becomes of the caller's arrays.
  const Index stride = padded_stride(spec.input_size, sizeof(T));
  T* const x = tape->arena->template take<T>(forest.rows * stride);
  for (Index row = 0; row < forest.rows; ++row)
    std::copy_n(call.x + forest.node[row] * spec.input_size, spec.input_size, x + row * stride);
  const ForestForward<T> forward(spec, *tape->packed, forest, {x, stride, nullptr}, *tape->arena, *scratch);
  run(forward, call, threads_for(spec, forest), {impl_.get(), forest.rows});
  tape->values = forward.values();
  return make_handle<TreeTape<T>>(std::move(tape));
}

template <class T>
void TreeLayer<T>::check(const TreeTape<T>& tape) const {
  impl_->store.check(impl_of(tape));
}

template <class T>
void TreeLayer<T>::backward(const TreeTape<T>& tape_, const TreeBackwardCall<T>& call) const {
  check(tape_);
  const auto& tape = impl_of(tape_);
  check_dweights(call.dweights.size(), impl_->store.list().size());
  const auto arena = impl_->store.lease();
  const TreeWeightIndex& at = impl_->index;
  const auto gradient = [&](int weight) { return gradient_of(call.dweights, weight); };
  const TreeGradients<T> gradients{gradient(at.ih), gradient(at.bias), gradient(at.hh), gradient(at.hh_f)};
  TeamLease team(threads_for(impl_->spec, tape.forest), {impl_.get(), tape.forest.rows});
  const ForestBackward<T> backward(impl_->spec, *tape.packed, tape.forest, tape.values, *arena, team.size());
  Crew crew(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    backward.run(call.dh, call.dc, call.dx, gradients, rank, crew);
  });
}

template <class T>
TreeTape<T>::TreeTape(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
TreeTape<T>::~TreeTape() = default;
template <class T>
TreeTape<T>::TreeTape(TreeTape&&) noexcept = default;
template <class T>
TreeTape<T>& TreeTape<T>::operator=(TreeTape&&) noexcept = default;
template <class T>
std::int64_t TreeTape<T>::nodes() const {
  return impl_->forest.rows;
}

template class TreeLayer<float>;
template class TreeLayer<double>;
template class TreeTape<float>;
template class TreeTape<double>;

}  // namespace gru_native
