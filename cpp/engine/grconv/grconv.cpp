#include "engine/grconv/grconv.h"

#include <algorithm>
#include <stdexcept>

#include "engine/matrix/matrices.h"
#include "engine/matrix/weight_gradients.h"
#include "engine/threads.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "runtime/team.h"
#include "spec/check_grconv.h"
#include "spec/checks.h"

namespace gru_native {
namespace { constexpr Index gate_count = 3; }  // namespace

template <class T>
GatedRecursiveConv<T>::Impl::Impl(const GrConvSpec& s) : spec(s) {
  const std::int64_t hidden = spec.hidden_size;
  ih = store.add("weight_ih", {hidden, spec.input_size});
  left = store.add("weight_left", {hidden, hidden});
  right = store.add("weight_right", {hidden, hidden});
  bias = store.add("bias", {hidden});
  gate_left = store.add("gate_left", {gate_count, hidden});
  gate_right = store.add("gate_right", {gate_count, hidden});
  gate_bias = store.add("gate_bias", {gate_count});
}

template <class T>
const GrConvKernels<T>& GatedRecursiveConv<T>::Impl::kernels() const {
  return kernels_for<T>().grconv[static_cast<int>(spec.activation)];
}

template <class T>
int GatedRecursiveConv<T>::Impl::threads(const GrConvLevels& levels) const {
  if (levels.count == 0) return 1;
  const double pair = 2 * double(spec.hidden_size) * double(spec.hidden_size);
  const double macs = double(levels.first.back()) * pair;
  return useful_threads(macs, macs / double(levels.count));
}

template <class T>
GatedRecursiveConv<T>::GatedRecursiveConv(const GrConvSpec& spec) {
  spec.validate();
  impl_ = std::make_unique<Impl>(spec);
  impl_->store.commit(*impl_);
}
template <class T>
GatedRecursiveConv<T>::~GatedRecursiveConv() = default;
template <class T>
GatedRecursiveConv<T>::GatedRecursiveConv(GatedRecursiveConv&&) noexcept = default;
template <class T>
GatedRecursiveConv<T>& GatedRecursiveConv<T>::operator=(GatedRecursiveConv&&) noexcept = default;
template <class T>
const GrConvSpec& GatedRecursiveConv<T>::spec() const {
  return impl_->spec;
}
template <class T>
const std::vector<Weight<const T>>& GatedRecursiveConv<T>::weights() const {
  return impl_->store.list();
}

template <class T>
WeightEdit<T> GatedRecursiveConv<T>::edit() {
  return impl_->store.edit(*impl_);
}

template <class T>
std::shared_ptr<PackedGrConv<T>> GatedRecursiveConv<T>::Impl::reserve() const {
  const Index hidden = spec.hidden_size, lanes = kernels_for<T>().lanes;
  auto packed = std::make_shared<PackedGrConv<T>>();
  packed->hidden = hidden;
  packed->units = round_up(hidden, lanes);
  packed->right_at = panel_stride<T>(hidden);
  packed->input = empty_panels<T>(hidden, 1, spec.input_size, lanes);
  packed->pair = empty_panels<T>(packed->units + gate_count, 1, packed->right_at + hidden, lanes);
  GRU_NATIVE_COUNTING(
      std::fill(packed->pair.needed_k.begin() + hidden, packed->pair.needed_k.begin() + packed->right_at, 0));
  packed->start = Buffer<T>(panel_stride<T>(packed->units + gate_count));
  return packed;
}

template <class T>
void GatedRecursiveConv<T>::Impl::fill(PackedGrConv<T>& packed) const {
  const Index hidden = spec.hidden_size, lanes = kernels_for<T>().lanes;
  fill_panels(packed.input, hidden, lanes, [&](int, Index unit) { return store.data(ih) + unit * spec.input_size; });
  const auto rows_of = [&](int of_units, int of_gates) {
    return [&, of_units, of_gates](int, Index column) -> const T* {
      if (column < hidden) return store.data(of_units) + column * hidden;
      return column < packed.units ? nullptr : store.data(of_gates) + (column - packed.units) * hidden;
    };
  };
  const Index columns = packed.units + gate_count;
  fill_panels(packed.pair, columns, lanes, rows_of(left, gate_left), {0, hidden});
  fill_panels(packed.pair, columns, lanes, rows_of(right, gate_right), {packed.right_at, hidden});
  std::copy_n(store.data(bias), hidden, packed.start.data());
  std::copy_n(store.data(gate_bias), gate_count, packed.start.data() + packed.units);
}

template <class T>
const GrConvPanels<T>& PackedGrConv<T>::transposed() const {
  const Index lanes = kernels_for<T>().lanes;
  return transposed_.get([&] {
    return GrConvPanels<T>{transpose(this->input, lanes, divide_up(hidden, lanes)),
                           transpose(this->pair, lanes, divide_up(units + gate_count, lanes))};
  });
}

template <class T>
void GatedRecursiveConv<T>::Impl::forward(const GrConvForwardCall<T>& call, const GrConvLevels& levels,
                                          const PackedGrConv<T>& packed, ImplOf<GrConvTape<T>>* tape) const {
  const auto lease = store.lease();
  Arena& scratch = *lease;
  const Index hidden = spec.hidden_size;
  const Index rows = levels.count == 0 ? 0 : levels.rows(0), all = levels.first[levels.count];
  // Of all levels for a tape, else of two in turn and of one. One more row: the last row of a level is no pair,
  // but rows that no pair needs are computed all the same, where they lie between others.
  const Index h_stride = packed.right_at, a_stride = panel_stride<T>(packed.units + gate_count);
  Arena& kept = tape ? *tape->arena : scratch;
  const Matrix<T> h{kept.take_zeroed<T>(((tape ? all : 2 * rows) + 1) * h_stride), h_stride};
  const Matrix<T> a{kept.take<T>((tape ? all : rows) * a_stride), a_stride};
  if (tape) tape->h = h, tape->a = a;
  const auto h_of = [&](Index level) { return from_row(h, tape ? levels.first[level] : level % 2 * rows); };
  const auto a_of = [&](Index level) { return from_row(a, tape ? levels.first[level] : 0); };

  Index* const offset = scratch.take<Index>(rows);
  levels.each(0, [&](Index b, Index row) {
    for (Index t = 0; t < levels.length[b]; ++t) offset[row + t] = t * call.x.step_stride + b * call.x.batch_stride;
  });
  Rows<const T> x{call.x.data, 0, offset};
  if (tape) {
    for (Index row = 0; row < rows; ++row)
      std::copy_n(call.x.data + offset[row], spec.input_size, tape->x.base + row * tape->x.stride);
    x = {tape->x.base, tape->x.stride, nullptr};
  }
  const T* const zeros = scratch.take_zeroed<T>(h_stride);
  for (Index level = 1; level < levels.seq_len && !call.gates.empty(); ++level)
    std::fill_n(call.gates[level - 1], (levels.seq_len - level) * levels.batch * gate_count, T(0));
  std::fill_n(call.y, levels.batch * hidden, T(0));

  TeamLease team(threads(levels), {this, levels.first.back()});
  Crew crew(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    for (Index level = 0; level < levels.count; ++level) {
      const Share mine = share_of(levels.rows(level), 1, rank, crew.size());
      if (level == 0) {
        multiply(packed.input, x, {zeros, 0, nullptr}, h_of(0), mine);
        for (Index row = mine.begin; row < mine.end; ++row) {  // NaN * 0 may stand in the padding, which is summed over
          T* const at = from_row(h_of(0), row).base;
          std::fill(at + hidden, at + h_stride, T(0));
        }
      } else if (mine.begin < mine.end) {
        const std::vector<Index>& left = levels.left[level];
        const Matrix<T> below = h_of(level - 1);
        Product<T> p = product_of_rows(packed.pair, rows_from(below, 0), {packed.start.data(), 0, nullptr},
                                       a_of(level - 1), {left[mine.begin], left[mine.end - 1] + 1});
        GRU_NATIVE_COUNTING(p.needed.rows = levels.begins_pair.data() + levels.first[level - 1]);
        multiply(p);
        look();
        kernels().forward(
            {mine.begin, mine.end, left.data(), hidden, packed.units, a_of(level - 1), read_only(below), h_of(level)});
      }
      crew.barrier(rank);
      if (rank == 0)  // nobody writes to this level or its gates before the next barrier
        levels.each(level, [&](Index b, Index row) {
          const Index positions = levels.length[b] - level;
          if (positions == 1) std::copy_n(from_row(h_of(level), row).base, hidden, call.y + b * hidden);
          for (Index j = 0; level > 0 && !call.gates.empty() && j < positions; ++j)
            std::copy_n(from_row(a_of(level - 1), levels.left[level][row + j]).base + packed.units, gate_count,
                        call.gates[level - 1] + (j * levels.batch + b) * gate_count);
        });
      if (!call.gates.empty()) crew.barrier(rank);  // without a tape the next level's gates take this one's place
    }
  });
}

template <class T>
void GatedRecursiveConv<T>::forward(const GrConvForwardCall<T>& call) const {
  check_call(impl_->spec, call);
  const auto packed = impl_->store.packed();
  impl_->forward(call, GrConvLevels(call.seq_len, call.batch, call.lengths), *packed, nullptr);
}

template <class T>
std::shared_ptr<const GrConvTape<T>> GatedRecursiveConv<T>::forward_with_tape(const GrConvForwardCall<T>& call) const {
  check_call(impl_->spec, call);
  auto tape = std::make_unique<ImplOf<GrConvTape<T>>>(impl_->store.begin_tape(),
                                                      GrConvLevels(call.seq_len, call.batch, call.lengths));
  const Index stride = padded_stride(impl_->spec.input_size, sizeof(T));
  const Index rows = tape->levels.count == 0 ? 0 : tape->levels.rows(0);
  tape->x = {tape->arena->template take<T>(rows * stride), stride};
  impl_->forward(call, tape->levels, *tape->packed, tape.get());
  return make_handle<GrConvTape<T>>(std::move(tape));
}

template <class T>
void GatedRecursiveConv<T>::check(const GrConvTape<T>& tape) const {
  impl_->store.check(impl_of(tape));
}

template <class T>
void GatedRecursiveConv<T>::backward(const GrConvTape<T>& tape_, const GrConvBackwardCall<T>& call) const {
  check(tape_);
  const Impl& l = *impl_;
  const auto& tape = impl_of(tape_);
  check_there("dy", call.dy);
  if (call.dx.data) check_rows("dx", call.dx, tape.levels.seq_len, tape.levels.batch, l.spec.input_size);
  check_dweights(call.dweights.size(), l.store.list().size());
  const GrConvLevels& levels = tape.levels;
  const PackedGrConv<T>& packed = *tape.packed;
  const GrConvPanels<T>& transposed = packed.transposed();
  const auto lease = l.store.lease();
  Arena& arena = *lease;
  const Index hidden = l.spec.hidden_size, input = l.spec.input_size;
  const Index rows = levels.count == 0 ? 0 : levels.rows(0), all = levels.first[levels.count];
  const Index pairs = levels.count == 0 ? 0 : levels.first[levels.count - 1];  // rows that may be a left neighbour
  const Matrix<T> dh = take_zeroed_matrix<T>(arena, all, hidden);  // right_at is its stride, too
  const Matrix<T> da = take_zeroed_matrix<T>(arena, pairs, packed.units + gate_count);  // rows that are no pair stay 0
  const Matrix<T> dneighbours = take_zeroed_matrix<T>(arena, rows, packed.right_at + hidden);
  const Matrix<T> dx = take_matrix<T>(arena, rows, input);
  const T* const zeros = take_zeroed_matrix<T>(arena, 1, input).base;
  for (Index level = 0; level < levels.count; ++level)
    levels.each(level, [&](Index b, Index row) {
      if (levels.length[b] == level + 1)
        std::copy_n(call.dy + b * hidden, hidden, from_row(dh, levels.first[level] + row).base);
    });

  TeamLease team(l.threads(levels), {&l, levels.first.back()});
  Crew crew(team);
  std::vector<T*> scratch;
  for (int i = 0; i < team.size(); ++i)
    scratch.push_back(
        arena.take<T>(weight_gradients_scratch<T>(hidden + gate_count, std::max(hidden, input), team.size())));

  // What both neighbours' pairs give to a row: of the pair that it begins, then of the one that it ends.
  const auto gather = [&](Index level, Share mine) {
    const std::vector<Index>& left = levels.left[level];
    const Index count = levels.rows(level);
    const Matrix<T> to = from_row(dh, levels.first[level - 1]);
    for (Index pair = mine.begin; pair < mine.end; ++pair) {
      const Index row = left[pair];
      const T* const here = dneighbours.base + row * dneighbours.stride;
      const T* const before = pair > 0 && left[pair - 1] + 1 == row ? here - dneighbours.stride : nullptr;
      T* const at = to.base + row * to.stride;
      if (before) GRU_NATIVE_EXECUTED(add, hidden);
      for (Index k = 0; k < hidden; ++k) at[k] = before ? here[k] + before[packed.right_at + k] : here[k];
      if (pair + 1 == count || left[pair + 1] != row + 1) std::copy_n(here + packed.right_at, hidden, at + to.stride);
    }
  };

  team.run([&](int rank) {
    const FlushDenormals flush;
    for (Index level = levels.count - 1; level > 0; --level) {
      const Share mine = share_of(levels.rows(level), 1, rank, crew.size());
      const std::vector<Index>& left = levels.left[level];
      const Index below = levels.first[level - 1];
      if (mine.begin < mine.end) {
        look();
        l.kernels().backward({mine.begin, mine.end, left.data(), hidden, packed.units,
                              read_only(from_row(tape.a, below)), read_only(from_row(tape.h, below)),
                              read_only(from_row(dh, levels.first[level])), from_row(da, below), dneighbours,
                              packed.right_at});
        Product<T> p = product_of_rows(transposed.pair, rows_from(da, below), rows_from(dneighbours, 0), dneighbours,
                                       {left[mine.begin], left[mine.end - 1] + 1});
        GRU_NATIVE_COUNTING(p.needed.rows = levels.begins_pair.data() + below);
        multiply(p);
      }
      crew.barrier(rank);
      gather(level, mine);
      crew.barrier(rank);
    }
    multiply(transposed.input, rows_from(dh, 0), {zeros, 0, nullptr}, dx, share_of(rows, 1, rank, crew.size()));
    if (call.dweights.empty()) return;

    const auto gradient = [&](int weight) { return gradient_of(call.dweights, weight); };
    const auto sum = [&](WeightGradients<T> g) {
      GRU_NATIVE_COUNTING(if (g.d.base != dh.base) g.needed = levels.begins_pair.data(), g.needed_row = 1);
      sum_weight_gradients(g, scratch[rank], rank, crew.size());
    };
    sum({rows, read_only(dh), hidden, rows_from(tape.x, 0), input, gradient(l.ih), nullptr});
    const Matrix<const T> d = read_only(da), gates{da.base + packed.units, da.stride};
    const Rows<const T> left = rows_from(tape.h, 0), right = rows_from(tape.h, 1);
    sum({pairs, d, hidden, left, hidden, gradient(l.left), gradient(l.bias)});
    sum({pairs, d, hidden, right, hidden, gradient(l.right), nullptr});
    sum({pairs, gates, gate_count, left, hidden, gradient(l.gate_left), gradient(l.gate_bias)});
    sum({pairs, gates, gate_count, right, hidden, gradient(l.gate_right), nullptr});
  });

  if (!call.dx.data) return;
  for (Index b = 0; b < levels.batch; ++b)
    for (Index t = levels.length[b]; t < levels.seq_len; ++t)
      std::fill_n(call.dx.data + t * call.dx.step_stride + b * call.dx.batch_stride, input, T(0));
  levels.each(0, [&](Index b, Index row) {
    for (Index t = 0; t < levels.length[b]; ++t)
      std::copy_n(from_row(dx, row + t).base, input, call.dx.data + t * call.dx.step_stride + b * call.dx.batch_stride);
  });
}

template <class T>
GrConvTape<T>::GrConvTape(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
GrConvTape<T>::~GrConvTape() = default;
template <class T>
GrConvTape<T>::GrConvTape(GrConvTape&&) noexcept = default;
template <class T>
GrConvTape<T>& GrConvTape<T>::operator=(GrConvTape&&) noexcept = default;
template <class T>
std::int64_t GrConvTape<T>::seq_len() const {
  return impl_->levels.seq_len;
}
template <class T>
std::int64_t GrConvTape<T>::batch() const {
  return impl_->levels.batch;
}

template class GatedRecursiveConv<float>;
template class GatedRecursiveConv<double>;
template class GrConvTape<float>;
template class GrConvTape<double>;

}  // namespace gru_native
