#include "engine/graph/edges.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "engine/matrix/matrices.h"
#include "runtime/dispatch.h"

namespace gru_native {
namespace {

void check_edge(const std::string& name, Index edge, std::int64_t value, Index end, const std::string& of) {
  if (value >= 0 && value < end) return;
  throw std::invalid_argument(name + std::to_string(edge) + "] is " + std::to_string(value) + "; expected 0 to " +
                              std::to_string(end - 1) + " (" + of + "=" + std::to_string(end) + ")");
}

template <class T>
void add(const T* from, T* to, Index n) {
  GRU_NATIVE_EXECUTED(add, n);
  for (Index k = 0; k < n; ++k) to[k] += from[k];
}

}  // namespace

EdgeLists::EdgeLists(Index nodes, Index types, Index edges, const std::int64_t* source, const std::int64_t* target,
                     const std::int64_t* type) {
  for (Index e = 0; e < edges; ++e) {
    check_edge("edge_index[0, ", e, source[e], nodes, "nodes");
    check_edge("edge_index[1, ", e, target[e], nodes, "nodes");
    if (type) check_edge("edge_type[", e, type[e], types, "num_edge_types");
  }
  in_ = side_of(nodes, edges, target, source, type);
  out_ = side_of(nodes, edges, source, target, type);
}

EdgeLists::Side EdgeLists::side_of(Index nodes, Index edges, const std::int64_t* own, const std::int64_t* other,
                                   const std::int64_t* type) {
  Side side;
  side.first.assign(static_cast<std::size_t>(nodes + 1), 0);
  side.ends.resize(static_cast<std::size_t>(edges));
  for (Index e = 0; e < edges; ++e) ++side.first[own[e] + 1];
  for (Index v = 0; v < nodes; ++v) side.first[v + 1] += side.first[v];
  std::vector<Index> next(side.first.begin(), side.first.end() - 1);
  for (Index e = 0; e < edges; ++e) side.ends[next[own[e]]++] = {other[e], type ? type[e] : 0};
  return side;
}

template <class T>
void EdgeLists::gather(const Messages& shape, Matrix<const T> m, const T* start, Matrix<T> a, Share nodes) const {
  Progress progress;
  for (Index v = nodes.begin; v < nodes.end; ++v) {
    progress.add(macs_of_copy * static_cast<double>(shape.hidden * (degree(v) + 1)));
    T* const to = a.base + v * a.stride;
    std::copy_n(start, shape.against + shape.hidden, to);
    for (Index i = in_.first[v]; i < in_.first[v + 1]; ++i) {
      const End& from = in_.ends[i];
      add(m.base + from.node * m.stride + from.type * shape.hidden, to, shape.hidden);
    }
    for (Index i = out_.first[v]; i < out_.first[v + 1]; ++i) {
      const End& from = out_.ends[i];
      add(m.base + from.node * m.stride + (shape.types + from.type) * shape.hidden, to + shape.against, shape.hidden);
    }
  }
}

template <class T>
void EdgeLists::scatter(const Messages& shape, Matrix<const T> da, Matrix<T> dm, Share nodes) const {
  Progress progress;
  for (Index v = nodes.begin; v < nodes.end; ++v) {
    progress.add(macs_of_copy * static_cast<double>(shape.hidden * (degree(v) + 1)));
    T* const to = dm.base + v * dm.stride;
    std::fill_n(to, dm.stride, T(0));
    for (Index i = out_.first[v]; i < out_.first[v + 1]; ++i) {
      const End& from = out_.ends[i];
      add(da.base + from.node * da.stride, to + from.type * shape.hidden, shape.hidden);
    }
    for (Index i = in_.first[v]; i < in_.first[v + 1]; ++i) {
      const End& from = in_.ends[i];
      add(da.base + from.node * da.stride + shape.against, to + (shape.types + from.type) * shape.hidden, shape.hidden);
    }
  }
}

// Kind by kind. A panel is wider than `hidden`: what a kind writes past its columns, the next kind
// writes over, so those along edges come first.
template <class T>
void EdgeMatrices<T>::gather(const Messages& shape, Matrix<const T> m, const T* start, Matrix<T> a, Share nodes) const {
  const Index columns = 2 * shape.types * nodes_;
  for (Index graph = nodes.begin / nodes_; graph * nodes_ < nodes.end; ++graph) {
    const Index first = graph * nodes_;
    const Index begin = std::max(nodes.begin, first), end = std::min(nodes.end, first + nodes_);
    for (Index kind = 0; kind < 2 * shape.types; ++kind) {
      Product<T> p = product_by<T>({m.base + first * m.stride + kind * shape.hidden, m.stride}, nodes_, shape.hidden);
      p.a = {adjacency_ + begin * columns + kind * nodes_, columns, nullptr};
      const Index at = kind < shape.types ? 0 : shape.against;
      p.acc = {a.base + begin * a.stride + at, a.stride, nullptr};
      if (kind == 0 || (kind == shape.types && at > 0)) p.start = {start + at, 0, nullptr};
      else p.start = {p.acc.base, p.acc.stride, nullptr};
      p.row_end = end - begin;
      multiply(p);
    }
  }
}

template <class T>
void EdgeMatrices<T>::scatter(const Messages& shape, Matrix<const T> da, Matrix<T> dm, Share nodes,
                              const T* zeros) const {
  const Index columns = 2 * shape.types * nodes_, used = 2 * shape.types * shape.hidden;
  for (Index graph = nodes.begin / nodes_; graph * nodes_ < nodes.end; ++graph) {
    const Index first = graph * nodes_;
    const Index begin = std::max(nodes.begin, first), end = std::min(nodes.end, first + nodes_);
    for (Index kind = 0; kind < 2 * shape.types; ++kind) {
      const Index against = kind < shape.types ? 0 : shape.against;
      Product<T> p = product_by<T>({da.base + first * da.stride + against, da.stride}, nodes_, shape.hidden);
      p.a = {adjacency_ + first * columns + kind * nodes_ + (begin - first), 1, nullptr};
      p.a_k_stride = columns;
      p.acc = {dm.base + begin * dm.stride + kind * shape.hidden, dm.stride, nullptr};
      p.start = {zeros, 0, nullptr};
      GRU_NATIVE_COUNTING(p.needed.work = Work::mac_inputs);
      p.row_end = end - begin;
      multiply(p);
    }
    for (Index v = begin; v < end; ++v) std::fill(dm.base + v * dm.stride + used, dm.base + (v + 1) * dm.stride, T(0));
  }
}

template void EdgeLists::gather(const Messages&, Matrix<const float>, const float*, Matrix<float>, Share) const;
template void EdgeLists::gather(const Messages&, Matrix<const double>, const double*, Matrix<double>, Share) const;
template void EdgeLists::scatter(const Messages&, Matrix<const float>, Matrix<float>, Share) const;
template void EdgeLists::scatter(const Messages&, Matrix<const double>, Matrix<double>, Share) const;
template class EdgeMatrices<float>;
template class EdgeMatrices<double>;

}  // namespace gru_native
