// The public TreeLayer: weights by name, one call forward, one call backward.
#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include "engine/tree.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"

namespace gru_native {

void TreeSpec::validate() const {
  const auto at_least_one = [](const char* name, std::int64_t value) {
    if (value < 1)
      throw std::invalid_argument(std::string(name) + " is " + std::to_string(value) + "; expected at least 1");
  };
  at_least_one("input_size", input_size);
  at_least_one("hidden_size", hidden_size);
  const bool nary = cell == TreeCell::nary;
  if (nary) at_least_one("arity", arity);
  // The largest tensor, and all of them, must have sizes that an address can hold, with room for padding.
  const double most = static_cast<double>(std::numeric_limits<std::ptrdiff_t>::max()) / 1024;
  const double hidden = static_cast<double>(hidden_size), inner = hidden * (nary ? static_cast<double>(arity) : 1);
  if (4 * hidden * static_cast<double>(input_size) + (3 * hidden + inner) * inner > most)
    throw std::invalid_argument("input_size=" + std::to_string(input_size) + ", hidden_size=" +
                                std::to_string(hidden_size) + (nary ? ", arity=" + std::to_string(arity) : "") +
                                ": the weights would be larger than memory can be; expected smaller sizes");
}

template <class T>
struct TreeLayer<T>::Impl {
  explicit Impl(const TreeSpec& s) : spec(s) {
    const auto add = [&](const char* name, std::vector<std::int64_t> shape) {
      storage.emplace_back(shape[0] * (shape.size() > 1 ? shape[1] : 1));
      weights.push_back({name, std::move(shape), storage.back().data()});
      return static_cast<int>(weights.size()) - 1;
    };
    const std::int64_t hidden = spec.hidden_size, inner = spec.arity * hidden;
    const bool nary = spec.cell == TreeCell::nary;
    index.ih = add("weight_ih", {4 * hidden, spec.input_size});
    index.hh = nary ? add("weight_hh_iog", {3 * hidden, inner}) : add("weight_hh", {4 * hidden, hidden});
    if (nary) index.hh_f = add("weight_hh_f", {inner, inner});
    if (spec.bias) index.bias = add("bias", {4 * hidden});
  }

  std::shared_ptr<const PackedTree<T>> current() const {
    const std::lock_guard<std::mutex> lock(mutex);
    return packed;
  }
  Forest forest_of(const TreeForwardCall<T>& call) const {
    const bool nary = spec.cell == TreeCell::nary;
    if (nary && !call.slots) throw std::invalid_argument("slots is null; expected one number for each node");
    return {call.nodes, call.parents, nary ? call.slots : nullptr, spec.arity};
  }

  TreeSpec spec;
  std::vector<Buffer<T>> storage;    // of the weights, in their order
  std::vector<Weight<T>> weights;
  TreeWeightIndex index;
  std::shared_ptr<ArenaPool> arenas = std::make_shared<ArenaPool>();
  mutable std::mutex mutex;          // guards `packed`, which is replaced and never changed
  std::shared_ptr<const PackedTree<T>> packed;
};

template <class T>
struct TreeTape<T>::Impl {
  explicit Impl(Forest f) : forest(std::move(f)) {}

  Forest forest;
  std::shared_ptr<const PackedTree<T>> packed;
  ArenaPool::Lease arena;            // holds all that `values` points to
  ForestValues<T> values;
};

template <class T>
TreeLayer<T>::TreeLayer(const TreeSpec& spec) {
  spec.validate();
  kernels_for<T>();  // an impossible GRU_NATIVE_ISA is reported here
  impl_ = std::make_unique<Impl>(spec);
  commit();
}
template <class T>
TreeLayer<T>::~TreeLayer() = default;

template <class T>
const TreeSpec& TreeLayer<T>::spec() const {
  return impl_->spec;
}

template <class T>
const std::vector<Weight<T>>& TreeLayer<T>::weights() const {
  return impl_->weights;
}

template <class T>
void TreeLayer<T>::commit() {
  auto packed = pack(impl_->spec, impl_->weights, impl_->index);
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  impl_->packed.swap(packed);
}

namespace {

template <class T>
void run(const ForestForward<T>& forward, const TreeForwardCall<T>& call, int threads) {
  TeamLease team(threads);
  Crew crew(team.size());
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
  const auto packed = impl_->current();
  const auto arena = impl_->arenas->lease();
  Index* const x_at = arena->template take<Index>(forest.rows);
  for (Index row = 0; row < forest.rows; ++row) x_at[row] = forest.node[row] * spec.input_size;
  const ForestForward<T> forward(spec, *packed, forest, {call.x, 0, x_at}, *arena, *arena);
  run(forward, call, useful_threads(spec, forest));
}

template <class T>
std::shared_ptr<const TreeTape<T>> TreeLayer<T>::forward_with_tape(const TreeForwardCall<T>& call) const {
  const TreeSpec& spec = impl_->spec;
  auto tape = std::make_unique<typename TreeTape<T>::Impl>(impl_->forest_of(call));
  const Forest& forest = tape->forest;
  tape->packed = impl_->current();
  tape->arena = impl_->arenas->lease();
  const auto scratch = impl_->arenas->lease();

  // The input is copied: a tape stays right whatever becomes of the caller's arrays.
  const Index stride = padded_stride(spec.input_size, sizeof(T));
  T* const x = tape->arena->template take<T>(forest.rows * stride);
  for (Index row = 0; row < forest.rows; ++row)
    std::copy_n(call.x + forest.node[row] * spec.input_size, spec.input_size, x + row * stride);
  const ForestForward<T> forward(spec, *tape->packed, forest, {x, stride, nullptr}, *tape->arena, *scratch);
  run(forward, call, useful_threads(spec, forest));
  tape->values = forward.values();
  return std::make_shared<const TreeTape<T>>(std::move(tape));
}

template <class T>
void TreeLayer<T>::check(const TreeTape<T>& tape) const {
  if (tape.impl().arena.get_deleter().pool != impl_->arenas)
    throw std::invalid_argument("tape was made by another layer; expected a tape of this layer");
}

template <class T>
void TreeLayer<T>::backward(const TreeTape<T>& tape_, const TreeBackwardCall<T>& call) const {
  check(tape_);
  const auto& tape = tape_.impl();
  const auto arena = impl_->arenas->lease();
  TreeGradients<T> gradients;
  if (!call.dweights.empty()) {
    const TreeWeightIndex& at = impl_->index;
    const auto pointer = [&](int weight) { return weight < 0 ? nullptr : call.dweights[weight]; };
    gradients = {pointer(at.ih), pointer(at.bias), pointer(at.hh), pointer(at.hh_f)};
  }
  TeamLease team(useful_threads(impl_->spec, tape.forest));
  const ForestBackward<T> backward(impl_->spec, *tape.packed, tape.forest, tape.values, *arena, team.size());
  Crew crew(team.size());
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
std::int64_t TreeTape<T>::nodes() const {
  return impl_->forest.rows;
}

template class TreeLayer<float>;
template class TreeLayer<double>;
template class TreeTape<float>;
template class TreeTape<double>;

}  // namespace gru_native
