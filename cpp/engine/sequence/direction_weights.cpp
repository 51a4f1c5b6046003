// The products at the end of DirectionBackward: from gradients of the pre-activations at all steps to those of inputs
// and of weights.
#include <algorithm>

#include "engine/matrix/matrices.h"
#include "engine/matrix/weight_gradients.h"
#include "engine/sequence/direction_backward.h"

namespace gru_native {

template <class T>
void DirectionBackward<T>::input_gradient(Matrix<T> dx, bool add, int member, int members) const {
  input_gradient_of(0, time_.rows, dx, add, member, members);
}

template <class T>
void DirectionBackward<T>::input_gradient_of(Index first, Index count, Matrix<T> dx, bool add, int member,
                                             int members) const {
  const Share rows = share_of(count, 1, member, members);
  transposed_product(weights_.input, from_row(dproduct_x(), first + rows.begin), from_row(dx, rows.begin), add,
                     rows.end - rows.begin, {0, input_blocks()}, 0);
}

template <class T>
void DirectionBackward<T>::input_gradient(Matrix<T> dx, Share rows, Share blocks) const {
  if (rows.begin >= rows.end || blocks.begin >= blocks.end) return;
  transposed_product(weights_.input, from_row(dproduct_x(), rows.begin), from_row(dx, rows.begin), false,
                     rows.end - rows.begin, blocks, 0);
}

template <class T>
void DirectionBackward<T>::gate_gradients(Matrix<T> d, Slots slots, Matrix<T> x, Index columns, T* dw, T* db,
                                          T* scratch, int member, int members) const {
  const Index d_columns = blocks_ * slots.count * lanes_;
  const WeightGradients<T> g{time_.rows, read_only(d), d_columns, rows_from(x, 0), columns, dw, db};
  sum_weight_gradients(g, scratch, member, members, [&](Index column) -> Index {
    const Index vector = column / lanes_, unit = vector / slots.count * lanes_ + column % lanes_;
    if (unit >= spec_.hidden_size) return -1;
    return cell_.torch_gate[slots.first + vector % slots.count] * spec_.hidden_size + unit;
  });
}

template <class T>
Index DirectionBackward<T>::gradient_scratch(Index columns, int members) const {
  const Index gates = blocks_ * std::max(cell_.input.count, cell_.recurrent.count) * lanes_;
  return weight_gradients_scratch<T>(
      std::max(gates, outputs_),
      std::max({columns, outputs_, Index(spec_.hidden_size), Index(spec_.recurrent_gates())}), members);
}

template <class T>
void DirectionBackward<T>::weight_gradients(Matrix<T> x, Index columns, const DirectionGradients<T>& g, T* scratch,
                                            int member, int members) const {
  const auto gradients = [&](Matrix<T> of_product, Matrix<T> of_gates, Slots slots, Matrix<T> from, Index wide, T* dw,
                             T* db) {
    if (!norm_) return gate_gradients(of_gates, slots, from, wide, dw, db, scratch, member, members);
    gate_gradients(of_product, slots, from, wide, dw, nullptr, scratch, member, members);
    gate_gradients(of_gates, slots, from, wide, nullptr, db, scratch, member, members);
  };
  gradients(dproduct_x(), dgates_x_, cell_.input, x, columns, g.ih, g.bias_ih);
  gradients(dproduct_h(), dgates_h_, cell_.recurrent, tape_.h_prev, state_, g.hh, g.bias_hh);
  if (norm_ && member == 0) norm_->store(g.norm);
  if (has_candidate_)
    gate_gradients(dgates_u_, cell_.candidate, tape_.u, state_, g.hh, g.bias_hh, scratch, member, members);
  if (g.rr) {
    const WeightGradients<T> rr{time_.rows,
                                read_only(dgates_r_),
                                blocks_ * 3 * lanes_,
                                rows_from(tape_.gates_prev, 0),
                                Index(spec_.recurrent_gates()),
                                g.rr,
                                nullptr};
    sum_weight_gradients(rr, scratch, member, members, [&](Index column) -> Index {
      const Index vector = column / lanes_, unit = vector / 3 * lanes_ + column % lanes_;
      return unit < spec_.hidden_size ? vector % 3 * spec_.hidden_size + unit : -1;
    });
  }
  for (int gate = 0; gate < 3; ++gate)
    if (g.peephole[gate] && member == 0)
      for (Index unit = 0; unit < spec_.hidden_size; ++unit)
        g.peephole[gate][unit] = dpeephole_[((unit / lanes_) * 3 + gate) * lanes_ + unit % lanes_];
  const auto projection = [&](Index begin, Index end, T* dw) {
    const Matrix<const T> dr{dr_.base + begin, dr_.stride};
    const WeightGradients<T> r{time_.rows, dr, end - begin, rows_from(tape_.u, 0), spec_.hidden_size, dw, nullptr};
    sum_weight_gradients(r, scratch, member, members);
  };
  if (g.hr) projection(0, state_, g.hr);
  if (g.hp) projection(state_, outputs_, g.hp);
}

#define GRU_NATIVE_MEMBERS(T)                                                                                        \
  template void DirectionBackward<T>::input_gradient(Matrix<T>, bool, int, int) const;                               \
  template void DirectionBackward<T>::input_gradient(Matrix<T>, Share, Share) const;                                 \
  template void DirectionBackward<T>::input_gradient_of(Index, Index, Matrix<T>, bool, int, int) const;              \
  template Index DirectionBackward<T>::gradient_scratch(Index, int) const;                                           \
  template void DirectionBackward<T>::weight_gradients(Matrix<T>, Index, const DirectionGradients<T>&, T*, int, int) \
      const;
GRU_NATIVE_MEMBERS(float)
GRU_NATIVE_MEMBERS(double)

}  // namespace gru_native
