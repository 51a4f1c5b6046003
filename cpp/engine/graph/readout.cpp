#include "engine/graph/readout.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/matrix/weight_gradients.h"
#include "engine/threads.h"
#include "runtime/denormals.h"
#include "runtime/team.h"
#include "spec/check_graph.h"
#include "spec/checks.h"
#include "spec/tensors.h"

namespace gru_native {
namespace {

template <class T>
const ActivationKernels<T>& tanh_kernels() {
  return kernels_for<T>().activation[static_cast<int>(Activation::tanh)];
}

}  // namespace

template <class T>
GraphReadout<T>::Impl::Impl(const ReadoutSpec& s) : spec(s), store(spec.precision) {
  each_name(spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) { store.add(name, shape); });
  f = store.find("weight_f"), g = store.find("weight_g");
  bias_f = store.find("bias_f"), bias_g = store.find("bias_g");
}

template <class T>
GraphReadout<T>::GraphReadout(const ReadoutSpec& spec) {
  spec.validate();
  check_new(spec.precision);
  impl_ = std::make_unique<Impl>(spec);
  impl_->store.commit(*impl_);
}
template <class T>
GraphReadout<T>::GraphReadout(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
GraphReadout<T>::~GraphReadout() = default;
template <class T>
GraphReadout<T>::GraphReadout(GraphReadout&&) noexcept = default;
template <class T>
GraphReadout<T>& GraphReadout<T>::operator=(GraphReadout&&) noexcept = default;
template <class T>
const ReadoutSpec& GraphReadout<T>::spec() const {
  return impl_->spec;
}
template <class T>
const std::vector<Weight<const T>>& GraphReadout<T>::weights() const {
  return impl_->store.shown();
}

template <class T>
WeightEdit<T> GraphReadout<T>::edit() {
  return impl_->store.edit(*impl_);
}
template <class T>
GraphReadout<T> GraphReadout<T>::quantize(Precision precision) const {
  return quantized_copy<T>(*this, precision);
}
GraphReadout<float> quantized_layer(const ReadoutSpec& spec, std::vector<QuantizedWeight> weights) {
  return layer_of_few_bits<GraphReadout<float>>(spec, std::move(weights));
}

template <class T>
std::shared_ptr<PackedReadout<T>> GraphReadout<T>::Impl::reserve() const {
  const Index lanes = kernels_for<T>().lanes;
  auto packed = std::make_shared<PackedReadout<T>>();
  packed->units = round_up(spec.output_size, lanes);
  packed->both = empty_panels(store, packed->units + spec.output_size, 1, columns());
  packed->start = Buffer<T>(2 * packed->units + 4 * lanes);
  return packed;
}

template <class T>
void GraphReadout<T>::Impl::fill(PackedReadout<T>& packed) const {
  const Index outputs = spec.output_size;
  fill_panels(store, packed.both, packed.units + outputs, [&](int, Index column) {
    if (column < outputs) return RowOf{f, column};
    return column < packed.units ? RowOf{} : RowOf{g, column - packed.units};
  });
  std::copy_n(store.data(bias_f), outputs, packed.start.data());
  std::copy_n(store.data(bias_g), outputs, packed.start.data() + packed.units);
}

template <class T>
void GraphReadout<T>::Impl::forward(const ReadoutForwardCall<T>& call, const PackedReadout<T>& packed,
                                    const ReadoutValues<T>& values, Arena& scratch) const {
  const Index hidden = spec.hidden_size, annotation = spec.annotation_size, outputs = spec.output_size;
  const auto& [z, a, y] = values;
  const Matrix<T> p = take_matrix<T>(scratch, call.nodes, packed.units);
  TeamLease team(useful_threads(spec, call.nodes), {this, call.nodes});
  Crew crew(team);
  team.run([&, &z = z, &a = a, &y = y](int rank) {
    const FlushDenormals flush;
    const Share mine = share_of(call.nodes, 1, rank, crew.size());
    Progress progress;
    for (Index v = mine.begin; v < mine.end; ++v) {
      progress.add(macs_of_new_number * static_cast<double>(hidden + annotation));
      std::copy_n(call.h + v * hidden, hidden, from_row(z, v).base);
      std::copy_n(call.annotations + v * annotation, annotation, from_row(z, v).base + hidden);
    }
    multiply(packed.both, rows_from(z, 0), {packed.start.data(), 0, nullptr}, a, mine);
    in_parts(mine.begin, mine.end, macs_of_outputs() + macs_of_new_number * static_cast<double>(outputs), 1,
             [&](Index begin, Index end) { kernels().forward({begin, end, outputs, packed.units, a, p}); });
    if (!sums()) {
      for (Index v = mine.begin; v < mine.end; ++v) {
        progress.add(macs_of_new_number * static_cast<double>(outputs));
        std::copy_n(from_row(p, v).base, outputs, call.y + v * outputs);
      }
      return;
    }
    crew.barrier(rank);
    const Share units = share_of(outputs, kernels_for<T>().lanes, rank, crew.size());  // of all nodes, in order
    for (Index v = 0; v < call.nodes; ++v) {
      progress.add(macs_of_copy * static_cast<double>(units.end - units.begin + 1));
      T* const sum = from_row(y, call.graph ? call.graph[v] : 0).base;
      GRU_NATIVE_EXECUTED(add, units.end - units.begin);
      for (Index k = units.begin; k < units.end; ++k) sum[k] += from_row(p, v).base[k];
    }
    for (Index g = 0; g < call.graphs; ++g) {
      T* const sum = from_row(y, g).base;
      if (units.begin < units.end)
        tanh_kernels<T>().forward(sum + units.begin, sum + units.begin, units.end - units.begin);
      for (Index k = units.begin; k < units.end; ++k) call.y[g * outputs + k] = sum[k];
    }
  });
}

template <class T>
void GraphReadout<T>::forward(const ReadoutForwardCall<T>& call) const {
  check_call(impl_->spec, call);
  const auto packed = impl_->store.packed();
  const auto arena = impl_->store.lease();
  impl_->forward(call, *packed, impl_->values(call, *packed, *arena), *arena);
}

template <class T>
std::shared_ptr<const ReadoutTape<T>> GraphReadout<T>::forward_with_tape(const ReadoutForwardCall<T>& call) const {
  check_call(impl_->spec, call);
  impl_->store.check_full("train");
  auto tape = std::make_unique<ImplOf<ReadoutTape<T>>>(impl_->store.begin_tape());
  tape->nodes = call.nodes;
  tape->graphs = call.graphs;
  if (call.graph) tape->graph.assign(call.graph, call.graph + call.nodes);
  tape->values = impl_->values(call, *tape->packed, *tape->arena);
  const auto scratch = impl_->store.lease();
  impl_->forward(call, *tape->packed, tape->values, *scratch);
  return make_handle<ReadoutTape<T>>(std::move(tape));
}

template <class T>
void GraphReadout<T>::check(const ReadoutTape<T>& tape) const {
  impl_->store.check(impl_of(tape));
}

template <class T>
void GraphReadout<T>::backward(const ReadoutTape<T>& tape_, const ReadoutBackwardCall<T>& call) const {
  check(tape_);
  const Impl& r = *impl_;
  check_there("dy", call.dy);
  check_dweights(call.dweights.size(), r.store.list().size());
  const auto& tape = impl_of(tape_);
  const PackedReadout<T>& packed = *tape.packed;
  const auto lease = r.store.lease();
  Arena& arena = *lease;
  const Index hidden = r.spec.hidden_size, annotation = r.spec.annotation_size, outputs = r.spec.output_size;
  const Matrix<T> da = take_matrix<T>(arena, tape.nodes, 2 * packed.units);
  const Matrix<T> dp = take_zeroed_matrix<T>(arena, tape.nodes, packed.units);  // its padding stays 0
  const Matrix<T> dz = take_matrix<T>(arena, tape.nodes, r.columns());
  const T* const zeros = take_zeroed_matrix<T>(arena, 1, r.columns()).base;
  const PackedMatrix<T>& transposed = packed.transposed();
  TeamLease team(useful_threads(r.spec, tape.nodes), {&r, tape.nodes});
  Crew crew(team);
  std::vector<T*> scratch;
  for (int i = 0; i < team.size(); ++i)
    scratch.push_back(arena.take<T>(weight_gradients_scratch<T>(outputs, r.columns(), team.size())));
  team.run([&](int rank) {
    const FlushDenormals flush;
    const Share mine = share_of(tape.nodes, 1, rank, crew.size());
    for (Index v = mine.begin; v < mine.end; ++v) {
      T* const to = from_row(dp, v).base;
      const Index from = r.sums() ? tape.graph_of(v) : v;
      std::copy_n(call.dy + from * outputs, outputs, to);
      if (r.sums()) tanh_kernels<T>().backward(from_row(tape.values.y, from).base, to, to, outputs);
      std::copy_n(from_row(tape.values.a, v).base, 2 * packed.units, from_row(da, v).base);
    }
    in_parts(mine.begin, mine.end, r.macs_of_outputs(), 1,
             [&](Index begin, Index end) { r.kernels().backward({begin, end, outputs, packed.units, da, dp}); });
    multiply(transposed, rows_from(da, 0), {zeros, 0, nullptr}, dz, mine);
    for (Index v = mine.begin; v < mine.end; ++v) {
      if (call.dh) std::copy_n(from_row(dz, v).base, hidden, call.dh + v * hidden);
      if (call.dannotations) std::copy_n(from_row(dz, v).base + hidden, annotation, call.dannotations + v * annotation);
    }
    crew.barrier(rank);
    if (call.dweights.empty()) return;
    const auto sums = [&](Index first, int weight, int bias) {
      const Matrix<const T> d{da.base + first, da.stride};
      const WeightGradients<T> g{tape.nodes,
                                 d,
                                 outputs,
                                 rows_from(tape.values.z, 0),
                                 r.columns(),
                                 gradient_of(call.dweights, weight),
                                 gradient_of(call.dweights, bias)};
      sum_weight_gradients(g, scratch[rank], rank, crew.size());
    };
    sums(0, r.f, r.bias_f);
    sums(packed.units, r.g, r.bias_g);
  });
}

template <class T>
ReadoutTape<T>::ReadoutTape(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
ReadoutTape<T>::~ReadoutTape() = default;
template <class T>
ReadoutTape<T>::ReadoutTape(ReadoutTape&&) noexcept = default;
template <class T>
ReadoutTape<T>& ReadoutTape<T>::operator=(ReadoutTape&&) noexcept = default;
template <class T>
std::int64_t ReadoutTape<T>::nodes() const {
  return impl_->nodes;
}
template <class T>
std::int64_t ReadoutTape<T>::graphs() const {
  return impl_->graphs;
}

template class GraphReadout<float>;
template class GraphReadout<double>;
template class ReadoutTape<float>;
template class ReadoutTape<double>;

}  // namespace gru_native
