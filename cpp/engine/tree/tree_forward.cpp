#include <algorithm>

#include "engine/matrix/matrices.h"
#include "engine/tree/tree.h"
#include "runtime/dispatch.h"

namespace gru_native {
namespace {

// The product into some rows, for a share of the blocks of units.
template <class T>
Product<T> share_of_units(const PackedMatrix<T>& w, Index lanes, const Region& r) {
  Product<T> p = product_of(w, lanes, w.gates, 0);
  p.panel_begin = w.panel_begin(r.blocks.begin);
  p.panel_end = w.panel_end(r.blocks.end);
  return p;
}

}  // namespace

template <class T>
ForestForward<T>::ForestForward(const TreeSpec& spec, const PackedTree<T>& weights, const Forest& forest,
                                Rows<const T> x, Arena& values, Arena& scratch)
    : spec_(spec), kernels_(kernels_for<T>()), weights_(weights), forest_(forest) {
  const Index inner = forest.rows - forest.leaves, edges = forest.edges();
  const bool nary = spec.cell == TreeCell::nary;
  const auto matrix = [](Index rows, Index columns, Arena& arena) {
    const Index stride = padded_stride(columns, sizeof(T));
    return Matrix<T>{arena.take<T>(rows * stride), stride};
  };
  v_.x = x;
  v_.gates = matrix(forest.rows, weights.blocks * 3 * weights.lanes, values);
  v_.h = matrix(forest.rows, weights.padded, values);
  v_.c = matrix(forest.rows, weights.padded, values);
  v_.s = matrix(inner, weights.inner, values);
  v_.forget = nary ? matrix(inner, weights.slots * weights.padded, values) : matrix(edges, weights.padded, values);
  input_forget_ = matrix(inner, weights.padded, scratch);

  const auto table = [&](Arena& arena) { return arena.take<Index>(edges); };
  Index* const forget_at = table(values);
  for (Index e = 0; e < edges; ++e)
    forget_at[e] = nary ? (forest.parent[e] - forest.leaves) * v_.forget.stride + forest.slot[e] * weights.padded
                        : e * v_.forget.stride;
  v_.forget_at = forget_at;
  Index *const a = table(scratch), *const start = table(scratch), *const acc = table(scratch);
  for (Index i = 0; i < edges; ++i) {
    const Index e = forest.by_slot[i], parent = forest.parent[e] - forest.leaves;
    a[i] = nary ? parent * v_.s.stride : forest.child[e] * v_.h.stride;
    start[i] = parent * input_forget_.stride;
    acc[i] = forget_at[e];
  }
  a_at_ = a, start_at_ = start, acc_at_ = acc;
}

// W x + b of all nodes; leaves have no forget gates.
template <class T>
void ForestForward<T>::inputs(int member, int members) const {
  const auto product = [&](const PackedMatrix<T>& w, const Buffer<T>& bias, Index row, Index rows, Matrix<T> to) {
    const Region r = region_of(0, rows, weights_.blocks, member, members);
    Product<T> p = share_of_units(w, weights_.lanes, r);
    p.row_end = r.end - r.begin;
    const Index first = row + r.begin;
    p.a = v_.x.offset ? Rows<const T>{v_.x.base, 0, v_.x.offset + first}
                      : Rows<const T>{v_.x.base + first * v_.x.stride, v_.x.stride, nullptr};
    p.start = {bias.data(), 0, nullptr};
    p.acc = rows_of(from_row(to, r.begin));
    multiply(p);
  };
  product(weights_.w.input, weights_.bias, 0, forest_.rows, v_.gates);
  product(weights_.w.input_forget, weights_.bias_forget, forest_.leaves, forest_.rows - forest_.leaves, input_forget_);
}

// s: the sum of the children's h, or, nary, each in its place.
template <class T>
void ForestForward<T>::read_children(const Region& r) const {
  const bool nary = spec_.cell == TreeCell::nary;
  const Index hidden = spec_.hidden_size, first = std::min(r.blocks.begin * weights_.lanes, hidden);
  const Index end = std::min(r.blocks.end * weights_.lanes, hidden);
  Progress progress;
  for (Index row = r.begin; row < r.end; ++row) {
    progress.add(macs_of_copy * static_cast<double>(end - first));
    T* const s = v_.s.base + (row - forest_.leaves) * v_.s.stride;
    const Index begin = forest_.child_begin[row], count = forest_.child_begin[row + 1] - begin;
    if (nary && count < weights_.slots)
      for (Index k = 0; k < weights_.slots; ++k) std::fill(s + k * hidden + first, s + k * hidden + end, T(0));
    for (Index e = begin; e < begin + count; ++e) {
      const T* const h = v_.h.base + forest_.child[e] * v_.h.stride;
      if (nary) std::copy(h + first, h + end, s + forest_.slot[e] * hidden + first);
      else if (e == begin) std::copy(h + first, h + end, s + first);
      else {
        GRU_NATIVE_EXECUTED(add, end - first);
        for (Index u = first; u < end; ++u) s[u] += h[u];
      }
    }
  }
}

template <class T>
void ForestForward<T>::products(const Region& r) const {
  Product<T> p = share_of_units(weights_.w.recurrent, weights_.lanes, r);
  p.row_end = r.end - r.begin;
  p.a = rows_from(v_.s, r.begin - forest_.leaves);
  p.acc = rows_of(from_row(v_.gates, r.begin));
  p.start = read_only(p.acc);
  multiply(p);

  Product<T> f = share_of_units(weights_.w.recurrent_forget, weights_.lanes, r);
  const bool nary = spec_.cell == TreeCell::nary;
  const Index panels_each = weights_.w.recurrent_forget.panel_end(weights_.padded / weights_.lanes);
  QuantizedWeights of_few_bits;
  for (Index slot = 0; slot < weights_.slots; ++slot) {
    if (slot > 0) skip_panels(f, panels_each, of_few_bits);
    const Share edges = forest_.edges_of(slot, r.begin, r.end);
    f.row_end = edges.end - edges.begin;
    f.a = {nary ? v_.s.base : v_.h.base, 0, a_at_ + edges.begin};
    f.start = {input_forget_.base, 0, start_at_ + edges.begin};
    f.acc = {v_.forget.base, 0, acc_at_ + edges.begin};
    multiply(f);
  }
}

template <class T>
void ForestForward<T>::cells(const Region& r) const {
  TreeStep<T> s{};
  s.block_begin = r.blocks.begin, s.block_end = r.blocks.end;
  s.row_begin = r.begin, s.row_end = r.end, s.hidden = spec_.hidden_size;
  s.gates = v_.gates, s.h = v_.h, s.c = v_.c;
  s.child_begin = forest_.child_begin.data(), s.child = forest_.child.data();
  s.forget_at = v_.forget_at, s.forget = v_.forget.base;
  in_parts(r.begin, r.end, macs_of_cell(weights_, r), 1, [&](Index begin, Index end) {
    s.row_begin = begin, s.row_end = end;
    kernels_.tree_forward(s);
  });
}

template <class T>
void ForestForward<T>::put(const Matrix<T>& m, T* user, const Region& r) const {
  const Index hidden = spec_.hidden_size, first = std::min(r.blocks.begin * weights_.lanes, hidden);
  const Index end = std::min(r.blocks.end * weights_.lanes, hidden);
  Progress progress;
  for (Index row = r.begin; row < r.end; ++row) {
    progress.add(macs_of_copy * static_cast<double>(end - first));
    const T* const from = m.base + row * m.stride;
    std::copy(from + first, from + end, user + forest_.node[row] * hidden + first);
  }
}

template <class T>
void ForestForward<T>::run(T* h, T* c, int member, Crew& crew) const {
  inputs(member, crew.size());
  crew.barrier(member);
  Progress progress;
  for (Index height = 0; height < forest_.heights(); ++height) {
    progress.add(macs_of_height);
    const Region r =
        region_of(forest_.height_begin[height], forest_.height_begin[height + 1], weights_.blocks, member, crew.size());
    if (height > 0) {
      read_children(r);
      if (!r.by_rows) crew.barrier(member);  // the product reads all units
      products(r);
    }
    cells(r);
    put(v_.h, h, r);
    put(v_.c, c, r);
    crew.barrier(member);
  }
}

template class ForestForward<float>;
template class ForestForward<double>;

}  // namespace gru_native
