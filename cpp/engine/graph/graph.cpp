#include "engine/graph/graph.h"

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>

#include "engine/matrix/matrices.h"
#include "engine/matrix/weight_gradients.h"
#include "engine/sequence/direction_backward.h"
#include "engine/sequence/direction_forward.h"
#include "engine/threads.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "spec/check_graph.h"
#include "spec/checks.h"
#include "spec/tensors.h"

namespace gru_native {
namespace {

Messages shape_of(const GraphSpec& spec) {
  return {spec.hidden_size, spec.num_edge_types, spec.inputs() - spec.hidden_size};
}

double macs_of_step(const GraphSpec& spec, Index nodes) {
  const double hidden = static_cast<double>(spec.hidden_size), inputs = static_cast<double>(spec.inputs());
  return static_cast<double>(nodes) * hidden * (static_cast<double>(spec.kinds()) * hidden + 3 * (inputs + hidden));
}

// Rows in which the last kind of edge may write whole panels.
template <class T>
Matrix<T> matrix(Arena& arena, Index rows, Index columns) {
  const Index stride = padded_stride(columns + panel_columns<T>(), sizeof(T));
  return {arena.take<T>(rows * stride), stride};
}

}  // namespace

template <class T>
GatedGraph<T>::Impl::Impl(const GraphSpec& s) : spec(s), store(spec.precision) {
  gru.cell = Cell::gru;
  gru.input_size = spec.inputs();
  gru.hidden_size = spec.hidden_size;
  gru.reset_after = spec.reset_after;
  gru.precision = spec.precision;
  gru.validate();
  each_name(spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) { store.add(name, shape); });
  edge = store.find("weight_edge");
  if (spec.bias != MessageBias::none) bias = store.find(spec.bias == MessageBias::edge ? "bias_edge" : "bias_node");
  WeightIndex& at = gru_at[0];
  at.ih = store.find("weight_ih"), at.hh = store.find("weight_hh");
  at.bias_ih = store.find("bias_ih"), at.bias_hh = store.find("bias_hh");
}

template <class T>
GatedGraph<T>::GatedGraph(const GraphSpec& spec) {
  spec.validate();
  check_new(spec.precision);
  impl_ = std::make_unique<Impl>(spec);
  impl_->store.commit(*impl_);
}
template <class T>
GatedGraph<T>::GatedGraph(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
GatedGraph<T>::~GatedGraph() = default;
template <class T>
GatedGraph<T>::GatedGraph(GatedGraph&&) noexcept = default;
template <class T>
GatedGraph<T>& GatedGraph<T>::operator=(GatedGraph&&) noexcept = default;
template <class T>
const GraphSpec& GatedGraph<T>::spec() const {
  return impl_->spec;
}
template <class T>
const std::vector<Weight<const T>>& GatedGraph<T>::weights() const {
  return impl_->store.shown();
}

template <class T>
WeightEdit<T> GatedGraph<T>::edit() {
  return impl_->store.edit(*impl_);
}
template <class T>
GatedGraph<T> GatedGraph<T>::quantize(Precision precision) const {
  return quantized_copy<T>(*this, precision);
}
GatedGraph<float> quantized_layer(const GraphSpec& spec, std::vector<QuantizedWeight> weights) {
  return layer_of_few_bits<GatedGraph<float>>(spec, std::move(weights));
}

template <class T>
std::shared_ptr<PackedGraph<T>> GatedGraph<T>::Impl::reserve() const {
  const Index columns = spec.kinds() * spec.hidden_size;
  auto packed = std::make_shared<PackedGraph<T>>();
  packed->columns = columns;
  if constexpr (std::is_same_v<T, float>)
    if (gru.precision != Precision::full)
      packed->gru = pack_quantized(gru, store.list(), store.quantized(), gru_at);  // with its numbers
  if (!packed->gru) packed->gru = reserve_packed(gru, store.list(), gru_at);
  packed->edge = empty_panels(store, columns, 1, spec.hidden_size);
  packed->message_start = Buffer<T>(columns + panel_columns<T>());
  packed->sum_start = Buffer<T>(spec.inputs() + panel_columns<T>());
  return packed;
}

template <class T>
void GatedGraph<T>::Impl::fill(PackedGraph<T>& packed) const {
  if (gru.precision == Precision::full) pack(*packed.gru, gru, store.list(), gru_at);
  fill_panels(store, packed.edge, packed.columns, [&](int, Index column) { return RowOf{edge, column}; });
  if (spec.bias == MessageBias::edge) std::copy_n(store.data(bias), packed.columns, packed.message_start.data());
  if (spec.bias == MessageBias::node) std::copy_n(store.data(bias), spec.inputs(), packed.sum_start.data());
}

template <class T>
const PackedMatrix<T>& PackedGraph<T>::edge_transposed() const {
  const Index lanes = kernels_for<T>().lanes;
  return edge_transposed_.get([&] { return transpose(edge, lanes, divide_up(columns, lanes)); });
}

template <class T>
void GatedGraph<T>::Impl::forward(const GraphForwardCall<T>& call, ImplOf<GraphTape<T>>* tape) const {
  check_call(spec, call);
  const EdgeLists own_edges = tape || call.adjacency ? EdgeLists()
                                                     : EdgeLists(call.nodes, spec.num_edge_types, call.edges,
                                                                 call.source, call.target, call.type);
  const EdgeLists& edges = tape ? tape->edges : own_edges;
  const EdgeMatrices<T> dense =
      call.adjacency ? EdgeMatrices<T>(call.graphs, call.nodes / call.graphs, call.adjacency) : EdgeMatrices<T>();
  const auto packed = tape ? tape->packed : store.packed();
  const Timeline own_time(spec.num_steps, call.nodes, nullptr);
  const Timeline& time = tape ? tape->time : own_time;
  const auto lease = store.lease();
  Arena& scratch = *lease;
  Arena& kept = tape ? *tape->arena : scratch;

  const Index nodes = call.nodes, hidden = spec.hidden_size;
  const Matrix<T> m = matrix<T>(scratch, nodes, spec.kinds() * hidden);
  const Matrix<T> a = matrix<T>(kept, tape ? time.rows : nodes, spec.inputs());
  if (tape) tape->a = a;
  const Matrix<T> h = matrix<T>(scratch, nodes, hidden);
  T* const initial = scratch.take_zeroed<T>(nodes * hidden);
  for (Index v = 0; v < nodes; ++v) {
    std::copy_n(call.annotations + v * call.annotation_size, call.annotation_size, initial + v * hidden);
    std::copy_n(initial + v * hidden, hidden, h.base + v * h.stride);
  }
  DirectionForward<T> direction(gru, *packed->gru, packed->gru->forward[0], time, false, 1,
                                tape ? &tape->direction : nullptr, kept);
  direction.load_state(initial, nullptr);

  const Messages shape = shape_of(spec);
  const double step_macs = macs_of_step(spec, nodes);
  Product<T> messages = product_of(packed->edge, kernels_for<T>().lanes, 1, 0);
  messages.a = {h.base, h.stride, nullptr};
  messages.start = {packed->message_start.data(), 0, nullptr};
  messages.acc = {m.base, m.stride, nullptr};
  messages.row_end = nodes;
  TeamLease team(useful_threads(gru, time.rows, time.seq_len), {this, time.rows});
  Crew crew(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    const Share panels = share_of(packed->edge.panels, 1, rank, crew.size());
    const Share mine = share_of(nodes, 1, rank, crew.size());
    Progress progress;
    for (Index t = 0; t < time.seq_len; ++t) {
      progress.add(step_macs / crew.size());
      Product<T> p = messages;
      p.panel_begin = panels.begin;
      p.panel_end = panels.end;
      multiply(p);
      crew.barrier(rank);
      const Matrix<T> a_t = from_row(a, tape ? time.first(t) : 0);
      if (call.adjacency) dense.gather(shape, {m.base, m.stride}, packed->sum_start.data(), a_t, mine);
      else edges.gather<T>(shape, {m.base, m.stride}, packed->sum_start.data(), a_t, mine);
      crew.barrier(rank);
      direction.run({rows_from(a, 0), tape ? 0 : time.first(t), StepRows<T>::always(h)}, t, t + 1, rank, crew);
    }
  });
  direction.advance(time.seq_len);
  direction.store_state(call.h, nullptr);
}

template <class T>
void GatedGraph<T>::forward(const GraphForwardCall<T>& call) const {
  impl_->forward(call, nullptr);
}

template <class T>
std::shared_ptr<const GraphTape<T>> GatedGraph<T>::forward_with_tape(const GraphForwardCall<T>& call) const {
  check_call(impl_->spec, call);
  impl_->store.check_full("train");
  const GraphSpec& spec = impl_->spec;
  auto tape = std::make_unique<ImplOf<GraphTape<T>>>(impl_->store.begin_tape());
  tape->annotation_size = call.annotation_size;
  tape->time = Timeline(spec.num_steps, call.nodes, nullptr);
  if (call.adjacency) {
    const Index numbers = call.nodes * spec.kinds() * (call.nodes / call.graphs);
    T* const copy = tape->arena->template take<T>(numbers);
    std::copy_n(call.adjacency, numbers, copy);
    tape->dense = EdgeMatrices<T>(call.graphs, call.nodes / call.graphs, copy);
  } else {
    tape->edges = EdgeLists(call.nodes, spec.num_edge_types, call.edges, call.source, call.target, call.type);
  }
  impl_->forward(call, tape.get());
  return make_handle<GraphTape<T>>(std::move(tape));
}

template <class T>
void GatedGraph<T>::check(const GraphTape<T>& tape) const {
  impl_->store.check(impl_of(tape));
}

template <class T>
void GatedGraph<T>::backward(const GraphTape<T>& tape_, const GraphBackwardCall<T>& call) const {
  check(tape_);
  const auto& tape = impl_of(tape_);
  check_there("dh", call.dh);
  check_dweights(call.dweights.size(), impl_->store.list().size());
  const GraphSpec& spec = impl_->spec;
  const PackedGraph<T>& packed = *tape.packed;
  const Timeline& time = tape.time;
  const auto lease = impl_->store.lease();
  Arena& arena = *lease;
  const Index nodes = time.batch, hidden = spec.hidden_size, columns = spec.kinds() * hidden;
  const Matrix<T> da = matrix<T>(arena, time.rows, spec.inputs());
  const Matrix<T> dm = matrix<T>(arena, time.rows, columns);
  const Matrix<T> dh = matrix<T>(arena, nodes, hidden);  // what reaches h(t-1) through messages
  const T* const zeros = arena.take_zeroed<T>(hidden + panel_columns<T>());
  const PackedMatrix<T>& edge_transposed = packed.edge_transposed();
  DirectionBackward<T> back(impl_->gru, *packed.gru, 0, time, false, tape.direction, arena);

  TeamLease team(useful_threads(impl_->gru, time.rows, time.seq_len), {impl_.get(), time.rows});
  Crew crew(team);
  std::vector<T*> scratch;
  const Index widest = std::max<Index>(spec.inputs(), hidden);
  for (int i = 0; i < team.size(); ++i)
    scratch.push_back(arena.take<T>(std::max(back.gradient_scratch(widest, team.size()),
                                             weight_gradients_scratch<T>(columns, widest, team.size()))));
  const Messages shape = shape_of(spec);
  const double step_macs = macs_of_step(spec, nodes);

  team.run([&](int rank) {
    const FlushDenormals flush;
    const Share mine = share_of(nodes, 1, rank, crew.size());
    typename DirectionBackward<T>::Io io{};
    io.dy = StepRows<const T>::always({call.dh, hidden});
    Progress progress;
    for (Index t = time.seq_len - 1; t >= 0; --t) {
      progress.add(step_macs / crew.size());
      const Matrix<T> da_t = from_row(da, time.first(t)), dm_t = from_row(dm, time.first(t));
      back.step_back(io, t, da_t, rank, crew);
      crew.barrier(rank);
      if (tape.dense.graphs() > 0) tape.dense.scatter(shape, read_only(da_t), dm_t, mine, zeros);
      else tape.edges.template scatter<T>(shape, read_only(da_t), dm_t, mine);
      multiply(edge_transposed, rows_from(dm_t, 0), {zeros, 0, nullptr}, dh, mine);
      crew.barrier(rank);
      io.dy = StepRows<const T>::always(read_only(dh));
    }
    if (call.dannotations) GRU_NATIVE_EXECUTED(add, (mine.end - mine.begin) * tape.annotation_size);
    if (call.dannotations)
      for (Index v = mine.begin; v < mine.end; ++v)
        for (Index k = 0; k < tape.annotation_size; ++k)
          call.dannotations[v * tape.annotation_size + k] =
              back.dh().base[v * back.dh().stride + k] + dh.base[v * dh.stride + k];

    const auto gradient = [&](int weight) { return gradient_of(call.dweights, weight); };
    const WeightIndex& at = impl_->gru_at[0];
    back.weight_gradients(tape.a, spec.inputs(),
                          {gradient(at.ih), gradient(at.hh), gradient(at.bias_ih), gradient(at.bias_hh)}, scratch[rank],
                          rank, crew.size());
    T* const dbias = gradient(impl_->bias);
    const bool on_edges = spec.bias == MessageBias::edge;
    const auto sum = [&](const WeightGradients<T>& g) { sum_weight_gradients(g, scratch[rank], rank, crew.size()); };
    sum({time.rows, read_only(dm), columns, rows_from(tape.direction.h_prev, 0), hidden, gradient(impl_->edge),
         on_edges ? dbias : nullptr});
    if (!on_edges && dbias) sum({time.rows, read_only(da), spec.inputs(), {}, 0, nullptr, dbias});
  });
}

template <class T>
GraphTape<T>::GraphTape(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
GraphTape<T>::~GraphTape() = default;
template <class T>
GraphTape<T>::GraphTape(GraphTape&&) noexcept = default;
template <class T>
GraphTape<T>& GraphTape<T>::operator=(GraphTape&&) noexcept = default;
template <class T>
std::int64_t GraphTape<T>::nodes() const {
  return impl_->time.batch;
}
template <class T>
std::int64_t GraphTape<T>::annotation_size() const {
  return impl_->annotation_size;
}
template <class T>
std::int64_t GraphTape<T>::graphs() const {
  return impl_->dense.graphs();
}

template class GatedGraph<float>;
template class GatedGraph<double>;
template class GraphTape<float>;
template class GraphTape<double>;

}  // namespace gru_native
