#include "engine/sequence/norm.h"

#include <algorithm>

#include "engine/matrix/matrices.h"

namespace gru_native {

template <class T>
NormForward<T>::NormForward(const LayerSpec& spec, const PackedDirection<T>& weights, const Timeline& time,
                            Index blocks, Index rows, NormTape<T>* tape, Arena& arena)
    : cell_(kernels_for<T>().cell[cell_index(spec)]),
      weights_(weights),
      hidden_(spec.hidden_size),
      blocks_(blocks),
      tapes_(tape != nullptr),
      input_(product_of(weights.input, kernels_for<T>().lanes, cell_.input.count, 0)) {
  const Index units = blocks * kernels_for<T>().lanes;
  kept_.x = take_matrix<T>(arena, rows, units * cell_.input.count);
  kept_.x_scale = arena.take<T>(rows);
  if (tape) {
    kept_.h = take_matrix<T>(arena, rows, units * cell_.recurrent.count);
    kept_.h_scale = arena.take<T>(rows);
    if (cell_.output_forward) kept_.c = take_matrix<T>(arena, rows, units), kept_.c_scale = arena.take<T>(rows);
    *tape = kept_;
  }
  h_ = take_matrix<T>(arena, time.batch, units * cell_.recurrent.count);
  zeros_ = arena.take_zeroed<T>(panel_stride<T>(units * std::max(cell_.input.count, cell_.recurrent.count)));
}

template <class T>
void NormForward<T>::input(Rows<const T> x, Index first, Index rows, Share mine, int member, Crew& crew) {
  Product<T> p = input_;
  p.panel_begin = weights_.input.panel_begin(mine.begin);
  p.panel_end = weights_.input.panel_end(mine.end);
  p.row_end = rows;
  p.a = x;
  p.start = {zeros_, 0, nullptr};
  const Matrix<T> to = from_row(kept_.x, first);
  p.acc = {to.base, to.stride, nullptr};
  multiply(p);
  crew.barrier(member);
  const Share share = share_of(rows, 1, member, crew.size());
  const double row = macs_of_function * static_cast<double>(hidden_ * cell_.input.count);
  in_parts(share.begin, share.end, row, 1, [&](Index begin, Index end) {
    kernels_for<T>().norm_rows({begin, end, blocks_, hidden_, cell_.input.count, to, kept_.x_scale + first, T(1e-5)});
  });
  crew.barrier(member);
}

template <class T>
void NormForward<T>::gates(Step<T>& s, Index first, Share mine, int member, Crew& crew) {
  Product<T> p = s.product;
  p.row_end = s.rows;
  p.start = {zeros_, 0, nullptr};
  p.acc = {h_.base, h_.stride, nullptr};
  const Product<T> layout = product_of(weights_.recurrent, kernels_for<T>().lanes, cell_.recurrent.count, 0);
  p.acc_panel_step = layout.acc_panel_step;
  std::copy_n(layout.acc_vector, 4, p.acc_vector);
  multiply(p);
  crew.barrier(member);
  NormGates<T> n{};
  n.rows = s.rows;
  n.block_begin = mine.begin;
  n.block_end = mine.end;
  n.blocks = blocks_;
  n.hidden = hidden_;
  n.slots = cell_.slots;
  n.input = cell_.input;
  n.recurrent = cell_.recurrent;
  n.bias = weights_.bias.data();
  n.gain_x = weights_.gain_x.data();
  n.gain_h = weights_.gain_h.data();
  n.x = read_only(from_row(kept_.x, first));
  n.h = read_only(h_);
  if (tapes_) n.h_saved = from_row(kept_.h, first), n.scale_saved = kept_.h_scale + first;
  n.gates = s.gates;
  kernels_for<T>().norm_gates(n);
  s.product.depth = 0;
}

template <class T>
void NormForward<T>::output(const Step<T>& s, Index first, Share mine) {
  OutputStep<T> o{};
  o.rows = s.rows;
  o.block_begin = mine.begin;
  o.block_end = mine.end;
  o.blocks = blocks_;
  o.hidden = hidden_;
  o.gates = read_only(s.gates);
  o.c = read_only(s.c);
  o.gain = weights_.gain_c.data();
  o.bias = weights_.bias_c.data();
  o.options = s.options;
  o.h = s.h;
  o.y = s.y;
  if (tapes_) o.c_saved = from_row(kept_.c, first), o.scale_saved = kept_.c_scale + first;
  cell_.output_forward(o);
}

template <class T>
NormBackward<T>::NormBackward(const LayerSpec& spec, const PackedDirection<T>& weights, const Timeline& time,
                              Index blocks, const NormTape<T>& tape, Arena& arena)
    : cell_(kernels_for<T>().cell[cell_index(spec)]),
      weights_(weights),
      hidden_(spec.hidden_size),
      blocks_(blocks),
      tape_(tape) {
  const Index units = blocks * kernels_for<T>().lanes;
  dx_ = take_matrix<T>(arena, time.rows, units * cell_.input.count);
  dh_ = take_matrix<T>(arena, time.rows, units * cell_.recurrent.count);
  dgain_x_ = arena.take_zeroed<T>(units * cell_.input.count);
  dgain_h_ = arena.take_zeroed<T>(units * cell_.recurrent.count);
  if (!cell_.output_backward) return;
  dn_ = take_matrix<T>(arena, time.batch, units);
  dc_ = take_matrix<T>(arena, time.batch, units);
  dgain_c_ = arena.take_zeroed<T>(units);
  dbias_c_ = arena.take_zeroed<T>(units);
}

template <class T>
void NormBackward<T>::backward(int count, Matrix<const T> d, Matrix<T> y, const T* scale, const Buffer<T>& gain,
                               Matrix<T> da, T* dgain, T* dbias, Index first, Index rows, Share mine) const {
  kernels_for<T>().norm_backward({rows, mine.begin, mine.end, blocks_, hidden_, count, d, read_only(from_row(y, first)),
                                  scale + first, gain.data(), da, dgain, dbias});
}

template <class T>
void NormBackward<T>::output(BackStep<T>& b, Index first, Share mine, int member, Crew& crew) {
  if (!cell_.output_backward) return;
  OutputBackStep<T> o{};
  o.rows = b.rows;
  o.block_begin = mine.begin;
  o.block_end = mine.end;
  o.hidden = hidden_;
  o.gates = b.gates;
  o.c = read_only(from_row(tape_.c, first));
  o.gain = weights_.gain_c.data();
  o.bias = weights_.bias_c.data();
  o.options = b.options;
  o.dy = b.dy;
  o.dh = b.dh;
  o.dn = dn_;
  cell_.output_backward(o);
  crew.barrier(member);
  backward(1, read_only(dn_), tape_.c, tape_.c_scale, weights_.gain_c, dc_, dgain_c_, dbias_c_, first, b.rows, mine);
  b.dy = {};
  b.q = read_only(dc_);
}

template <class T>
void NormBackward<T>::products(const BackStep<T>& b, Index first, Share mine) {
  backward(cell_.input.count, read_only(b.dgates_x), tape_.x, tape_.x_scale, weights_.gain_x, from_row(dx_, first),
           dgain_x_, nullptr, first, b.rows, mine);
  backward(cell_.recurrent.count, read_only(b.dgates_h), tape_.h, tape_.h_scale, weights_.gain_h, from_row(dh_, first),
           dgain_h_, nullptr, first, b.rows, mine);
}

template <class T>
void NormBackward<T>::store(const NormGradients<T>& g) const {
  const Index lanes = kernels_for<T>().lanes;
  const auto copy = [&](const T* from, Slots slots, T* to) {
    for (Index unit = 0; to && unit < hidden_; ++unit)
      for (int k = 0; k < slots.count; ++k)
        to[cell_.torch_gate[slots.first + k] * hidden_ + unit] =
            from[(unit / lanes * slots.count + k) * lanes + unit % lanes];
  };
  copy(dgain_x_, cell_.input, g.ih);
  copy(dgain_h_, cell_.recurrent, g.hh);
  if (g.c) std::copy_n(dgain_c_, hidden_, g.c);
  if (g.bias_c) std::copy_n(dbias_c_, hidden_, g.bias_c);
}

template class NormForward<float>;
template class NormForward<double>;
template class NormBackward<float>;
template class NormBackward<double>;

}  // namespace gru_native
