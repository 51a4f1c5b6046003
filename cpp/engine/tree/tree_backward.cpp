#include <algorithm>

#include "engine/matrix/matrices.h"
#include "engine/matrix/weight_gradients.h"
#include "engine/matrix/weights.h"
#include "engine/tree/tree.h"

namespace gru_native {
template <class T>
ForestBackward<T>::ForestBackward(const TreeSpec& spec, const PackedTree<T>& weights, const Forest& forest,
                                  const ForestValues<T>& values, Arena& arena, int members)
    : spec_(spec),
      kernels_(kernels_for<T>()),
      weights_(weights),
      transposed_(weights.transposed()),
      forest_(forest),
      v_(values) {
  const bool nary = spec.cell == TreeCell::nary;
  const Index rows = forest.rows, inner = rows - forest.leaves, edges = forest.edges(), panel = 4 * weights.lanes;
  const auto stride_of = [](Index columns) { return padded_stride(columns, sizeof(T)); };
  const auto matrix = [&](Index n, Index columns) {
    return Matrix<T>{arena.take<T>(n * stride_of(columns)), stride_of(columns)};
  };
  const auto clear = [](Matrix<T> m, Index row) { std::fill_n(m.base + row * m.stride, m.stride, T(0)); };
  const Index widest = round_up(std::max<Index>(spec.input_size, weights.inner), panel);
  dgates_ = matrix(rows, weights.blocks * 3 * weights.lanes);
  dc_ = matrix(rows, weights.padded);
  for (const Index root : forest.roots) clear(dc_, root);
  // Missing children are zeros in the products over all slots; so is the padding between them.
  dforget_ = nary ? Matrix<T>{arena.take_zeroed<T>(inner * values.forget.stride), values.forget.stride}
                  : Matrix<T>{arena.take<T>(edges * values.forget.stride), values.forget.stride};
  dforget_sum_ = matrix(inner, weights.padded);
  ds_ = matrix(inner + 1, round_up(weights.inner, panel));
  clear(ds_, inner);
  dx_ = matrix(rows, round_up(spec.input_size, panel));
  const Index columns = nary ? weights.slots * weights.padded : weights.blocks * 3 * weights.lanes;
  scratch_size_ = weight_gradients_scratch<T>(std::max(columns, weights.blocks * 3 * weights.lanes), widest, members);
  scratch_ = arena.take<T>(members * scratch_size_);
  zeros_ = arena.take_zeroed<T>(widest);
  Index* const user_at = arena.take<Index>(rows);
  for (Index row = 0; row < rows; ++row) user_at[row] = forest.node[row] * spec.hidden_size;
  user_at_ = user_at;

#if defined(GRU_NATIVE_COUNT)
  if (nary) exists_.assign(static_cast<std::size_t>(inner * columns), 0);
  for (Index e = 0; e < edges && nary; ++e)
    std::fill_n(&exists_[(forest.parent[e] - forest.leaves) * columns + forest.slot[e] * weights.padded],
                spec.hidden_size, 1);
#endif
  if (nary) {  // a child finds its dh in the parent's ds
    Index* const at = arena.take<Index>(rows);
    std::fill_n(at, rows, inner * ds_.stride);
    for (Index e = 0; e < edges; ++e)
      at[forest.child[e]] = (forest.parent[e] - forest.leaves) * ds_.stride + forest.slot[e] * spec.hidden_size;
    dh_ = {ds_.base, 0, at};
    ds_at_ = dh_at_ = nullptr;
  } else {
    const Matrix<T> dh = matrix(rows, weights.padded);
    for (const Index root : forest.roots) clear(dh, root);
    Index *const from = arena.take<Index>(edges), *const to = arena.take<Index>(edges);
    Index* const h_at = arena.take<Index>(edges);
    for (Index e = 0; e < edges; ++e) {
      h_at[e] = forest.child[e] * values.h.stride;
      from[e] = (forest.parent[e] - forest.leaves) * ds_.stride;
      to[e] = forest.child[e] * dh.stride;
    }
    dh_ = {dh.base, dh.stride, nullptr};
    ds_at_ = from, dh_at_ = to;
    h_child_ = {values.h.base, 0, h_at};
  }
}

template <class T>
void ForestBackward<T>::cells(const T* dh, const T* dc, const Region& r) const {
  TreeBackStep<T> s{};
  s.block_begin = r.blocks.begin, s.block_end = r.blocks.end;
  s.row_begin = r.begin, s.row_end = r.end;
  s.hidden = spec_.hidden_size, s.leaves = forest_.leaves;
  s.gates = read_only(v_.gates), s.c = read_only(v_.c);
  s.child_begin = forest_.child_begin.data(), s.child = forest_.child.data();
  s.forget_at = v_.forget_at, s.forget = v_.forget.base;
  s.dh_outside = {dh, 0, user_at_}, s.dc_outside = {dc, 0, user_at_};
  s.dh = {dh_.base, dh_.stride, dh_.offset};
  s.dc = dc_, s.dgates = dgates_;
  s.dforget = dforget_.base, s.dforget_sum = dforget_sum_;
  in_parts(r.begin, r.end, macs_of_cell(weights_, r), 1, [&](Index begin, Index end) {
    s.row_begin = begin, s.row_end = end;
    kernels_.tree_backward(s);
  });
}

// What the children's h get: ds = U^T d(i g o) of the parent, and through the forget gates, child-sum's each from its
// own, nary's all from all.
template <class T>
void ForestBackward<T>::products(const Region& r) const {
  const bool nary = spec_.cell == TreeCell::nary;
  const Index inner = r.begin - forest_.leaves;
  // Members that share the rows take all columns; those that share the units take the same share of every row.
  const Index columns = r.by_rows ? 0 : divide_up(weights_.inner, weights_.lanes);
  const auto product = [&](const PackedMatrix<T>& w) {
    Product<T> p = product_of(w, weights_.lanes, 1, 0);
    if (columns > 0) {
      p.panel_begin = w.panel_begin(std::min(r.blocks.begin * weights_.slots, columns));
      p.panel_end = w.panel_end(std::min(r.blocks.end * weights_.slots, columns));
    }
    p.row_end = r.end - r.begin;
    p.start = {zeros_, 0, nullptr};
    p.acc = {ds_.base + inner * ds_.stride, ds_.stride, nullptr};
    return p;
  };
  Product<T> p = product(transposed_.recurrent);
  p.a = rows_from(dgates_, r.begin);
  multiply(p);

  Product<T> f = product(transposed_.recurrent_forget);
  if (nary) {
    f.a = rows_from(dforget_, inner);
    f.start = rows_from(ds_, inner);
    GRU_NATIVE_COUNTING(const Index columns = weights_.slots * weights_.padded);
    GRU_NATIVE_COUNTING(f.needed.a = exists_.data() + inner * columns, f.needed.a_row_stride = columns);
  } else {
    const Index begin = forest_.child_begin[r.begin];
    f.row_end = forest_.child_begin[r.end] - begin;
    f.a = rows_from(dforget_, begin);
    f.start = {ds_.base, 0, ds_at_ + begin};
    f.acc = {dh_.base, 0, dh_at_ + begin};
  }
  multiply(f);
}

template <class T>
void ForestBackward<T>::input_gradient(T* dx, int member, int members) const {
  const Share mine = share_of(forest_.rows, 1, member, members);
  const auto product = [&](const PackedMatrix<T>& w, Rows<const T> a, Index row, bool add) {
    Product<T> p = product_of(w, weights_.lanes, 1, 0);
    p.row_end = mine.end - row;
    p.a = a;
    p.acc = {dx_.base + row * dx_.stride, dx_.stride, nullptr};
    if (add) p.start = {p.acc.base, p.acc.stride, nullptr};
    else p.start = {zeros_, 0, nullptr};
    if (p.row_end > 0) multiply(p);
  };
  product(transposed_.input, rows_from(dgates_, mine.begin), mine.begin, false);
  const Index inner = std::max(mine.begin, forest_.leaves);
  if (inner < mine.end) product(transposed_.input_forget, rows_from(dforget_sum_, inner - forest_.leaves), inner, true);
  Progress progress;
  for (Index row = mine.begin; row < mine.end; ++row) {
    progress.add(macs_of_copy * static_cast<double>(spec_.input_size));
    std::copy_n(dx_.base + row * dx_.stride, spec_.input_size, dx + forest_.node[row] * spec_.input_size);
  }
}

template <class T>
void ForestBackward<T>::weight_gradients(const TreeGradients<T>& g, int member, int members) const {
  const Index lanes = weights_.lanes, hidden = spec_.hidden_size, rows = forest_.rows, leaves = forest_.leaves;
  T* const scratch = scratch_ + member * scratch_size_;
  const TreeGates gates = tree_gates(spec_.cell);
  const bool nary = spec_.cell == TreeCell::nary;
  const auto sum = [&](WeightGradients<T> w, const auto& row_of) {
#if defined(GRU_NATIVE_COUNT)
    if (nary && w.d.base == dforget_.base) w.needed = exists_.data(), w.needed_row = w.outputs, w.needed_column = 1;
#endif
    sum_weight_gradients(w, scratch, member, members, row_of);
  };
  const auto igo = [&](const int* gate_of) {
    return [=](Index column) -> Index {
      const Index vector = column / lanes, unit = vector / 3 * lanes + column % lanes;
      return unit < hidden ? gate_of[vector % 3] * hidden + unit : -1;
    };
  };
  const auto forget = [&](Index column) -> Index { return column < hidden ? tree_forget_gate * hidden + column : -1; };
  const Index inputs = spec_.input_size, igo_columns = weights_.blocks * 3 * lanes;
  const Rows<const T> x = v_.x, inner_x{x.base + leaves * x.stride, x.stride, nullptr}, s = rows_from(v_.s, 0);
  const Matrix<const T> d = read_only(dgates_), inner_d = read_only(from_row(dgates_, leaves));
  const Matrix<const T> d_forget = read_only(dforget_), d_forget_sum = read_only(dforget_sum_);
  sum({rows, d, igo_columns, x, inputs, g.ih, g.bias}, igo(gates.input));
  sum({rows - leaves, d_forget_sum, hidden, inner_x, inputs, g.ih, g.bias}, forget);
  sum({rows - leaves, inner_d, igo_columns, s, weights_.inner, g.hh, nullptr}, igo(gates.recurrent));
  if (nary)
    sum({rows - leaves, d_forget, weights_.slots * weights_.padded, s, weights_.inner, g.hh_f, nullptr},
        [&](Index column) -> Index {
          const Index k = column / weights_.padded, unit = column % weights_.padded;
          return unit < hidden ? k * hidden + unit : -1;
        });
  else sum({forest_.edges(), d_forget, hidden, h_child_, hidden, g.hh, nullptr}, forget);
}

template <class T>
void ForestBackward<T>::run(const T* dh, const T* dc, T* dx, const TreeGradients<T>& dweights, int member,
                            Crew& crew) const {
  const int members = crew.size();
  Progress progress;
  for (Index height = forest_.heights() - 1; height >= 0; --height) {
    progress.add(macs_of_height);
    const Region r =
        region_of(forest_.height_begin[height], forest_.height_begin[height + 1], weights_.blocks, member, members);
    cells(dh, dc, r);
    if (height > 0) {
      if (!r.by_rows) crew.barrier(member);  // the product reads all units
      products(r);
    }
    crew.barrier(member);
  }
  if (dx) input_gradient(dx, member, members);
  if (dweights.ih) weight_gradients(dweights, member, members);
}

template class ForestBackward<float>;
template class ForestBackward<double>;

}  // namespace gru_native
