#include "engine/model/convolution.h"

#include <algorithm>

#include "engine/matrix/weight_gradients.h"
#include "engine/model/window_stream.h"
#include "spec/convolution.h"

namespace gru_native {
namespace {

// Sequences one after the other, each with its padding: where each begins, in steps.
std::vector<Index> begins_of(const Windows& around, const Timeline& in) {
  std::vector<Index> begins(static_cast<std::size_t>(in.batch + 1));
  for (Index row = 0; row < in.batch; ++row)
    begins[static_cast<std::size_t>(row) + 1] =
        begins[static_cast<std::size_t>(row)] + around.left + in.length_of(row) + around.right;
  return begins;
}

// f(compact row, step in the padded sequences) for the steps of x in a share of them.
template <class F>
void each_step(Index left, const Timeline& in, const std::vector<Index>& begins, Share steps, const F& f) {
  for (Index t = steps.begin; t < steps.end; ++t)
    for (Index row = 0; row < in.alive(t); ++row)
      f(in.first(t) + row, begins[static_cast<std::size_t>(row)] + left + t);
}

}  // namespace

template <class T>
PackedConv1d<T>::PackedConv1d(const OperationSpec& spec, const Conv1dSpec& own)
    : PackedOperation<T>(spec),
      own_(own),
      in_(own.in_channels / own.groups),
      out_(own.out_channels / own.groups),
      depth_(in_ * own.kernel_size),
      lanes_(kernels_for<T>().lanes),
      rows_(own.out_channels * depth_) {
  for (Index g = 0; g < own.groups; ++g) weight_.push_back(empty_panels<T>(out_, 1, depth_, lanes_));
  bias_ = Buffer<T>(columns_written(own.out_channels));
}

template <class T>
void PackedConv1d<T>::fill(const std::vector<Weight<const T>>& weights) {
  const Index taps = own_.kernel_size;
  for (Index row = 0; row < own_.out_channels; ++row)
    for (Index tap = 0; tap < taps; ++tap)
      for (Index c = 0; c < in_; ++c)
        rows_.data()[row * depth_ + tap * in_ + c] = weights[0].data[row * depth_ + c * taps + tap];
  for (Index g = 0; g < own_.groups; ++g)
    fill_panels(weight_[static_cast<std::size_t>(g)], out_, lanes_,
                [&](int, Index unit) { return rows_.data() + (g * out_ + unit) * depth_; });
  if (own_.bias) std::copy_n(weights[1].data, own_.out_channels, bias_.data());
}

template <class T>
void PackedConv1d<T>::unpack(const std::vector<Weight<T>>& weights) const {
  const Index taps = own_.kernel_size;
  for (Index row = 0; row < own_.out_channels; ++row)
    for (Index tap = 0; tap < taps; ++tap)
      for (Index c = 0; c < in_; ++c)
        weights[0].data[row * depth_ + c * taps + tap] = rows_.data()[row * depth_ + tap * in_ + c];
  if (own_.bias) std::copy_n(bias_.data(), own_.out_channels, weights[1].data);
}

template <class T>
double PackedConv1d<T>::macs_of_row(Index) const {
  return static_cast<double>(own_.out_channels) * static_cast<double>(depth_) / static_cast<double>(own_.stride);
}

// The last panel of the last group may be wider than the group.
template <class T>
Index PackedConv1d<T>::columns_written(Index outputs) const {
  return outputs - out_ + weight_.back().columns();
}

template <class T>
void PackedConv1d<T>::convolve(Rows<const T> first, Matrix<T> y, Share rows) const {
  const Index taps = at_once() ? 1 : own_.kernel_size, depth = at_once() ? depth_ : in_;
  for (Index g = 0; g < own_.groups; ++g)  // in this order: a last panel runs into the columns of the next group
    for (Index tap = 0; tap < taps; ++tap) {
      const Matrix<T> acc{y.base + g * out_, y.stride};
      const Index from = g * in_ + tap * own_.dilation * own_.in_channels;
      const Rows<const T> start =
          tap > 0 ? read_only(rows_of(acc)) : Rows<const T>{bias_.data() + g * out_, 0, nullptr};
      Product<T> p = product_of_rows(weight_[static_cast<std::size_t>(g)], from_column(first, from), start, acc, rows);
      p.panels += tap * in_ * p.k_stride;
      p.depth = depth;
      multiply(p);
    }
  if (own_.activation == Activation::identity) return;
  const ChosenActivation<T> f = chosen<T>(own_.activation);
  in_parts(rows.begin, rows.end, macs_of_function * static_cast<double>(own_.out_channels), 1,
           [&](Index begin, Index end) {
             for (Index row = begin; row < end; ++row) {
               T* const at = y.base + row * y.stride;
               kernels_for<T>().function.forward(f, at, at, own_.out_channels);
             }
           });
}

template <class T>
void PackedConv1d<T>::forward(const OperationRows& call, Rows<const T> x, Matrix<T> y, TeamLease& team,
                              Kept<T>* kept) const {
  const Index channels = own_.in_channels;
  const std::vector<Index> begins = begins_of(windows_of(own_), call.in);
  T* const padded = call.arena->template take_zeroed<T>(begins.back() * channels);
  Index* const offset = call.arena->template take<Index>(call.out.rows);
  for (Index t = 0; t < call.out.seq_len; ++t)
    for (Index row = 0; row < call.out.alive(t); ++row)
      offset[call.out.first(t) + row] = (begins[static_cast<std::size_t>(row)] + t * own_.stride) * channels;
  if (kept) {
    kept->rows = {padded, channels};
    kept->outputs = y;
    kept->offset = offset;
  }
  Crew all(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    each_step(windows_of(own_).left, call.in, begins, share_of(call.in.seq_len, 1, rank, team.size()),
              [&](Index row, Index step) { std::copy_n(row_at(x, row), channels, padded + step * channels); });
    all.barrier(rank);
    const Share mine = share_of(call.out.rows, whole_tiles, rank, team.size());
    if (mine.begin < mine.end) convolve({padded, 0, offset}, y, mine);
  });
}

// dw: [out of the group][tap][channel], or [tap][out][channel].
template <class T>
void PackedConv1d<T>::sum_gradients(const OperationRows& call, const Kept<T>& kept, Matrix<T> d, Index group, T* dw,
                                    T* db, T* scratch, int member, int members) const {
  const Index taps = at_once() ? 1 : own_.kernel_size, depth = at_once() ? depth_ : in_;
  for (Index tap = 0; tap < taps; ++tap) {
    const Index from = group * in_ + tap * own_.dilation * own_.in_channels;
    const WeightGradients<T> sums{call.out.rows,
                                  {d.base + group * out_, d.stride},
                                  out_,
                                  {kept.rows.base + from, 0, kept.offset},
                                  depth,
                                  dw ? dw + tap * out_ * depth : nullptr,
                                  tap == 0 ? db : nullptr};
    sum_weight_gradients(sums, scratch, member, members);
  }
}

// [group][tap]: rows are channels of x, k are channels of y.
template <class T>
const std::vector<PackedMatrix<T>>& PackedConv1d<T>::transposed() const {
  return transposed_.get([&] {
    std::vector<PackedMatrix<T>> all;
    std::vector<T> rows(static_cast<std::size_t>(in_ * out_));
    for (Index g = 0; g < own_.groups; ++g)
      for (Index tap = 0; tap < own_.kernel_size; ++tap) {
        for (Index c = 0; c < in_; ++c)
          for (Index k = 0; k < out_; ++k)
            rows[static_cast<std::size_t>(c * out_ + k)] = rows_.data()[(g * out_ + k) * depth_ + tap * in_ + c];
        all.push_back(empty_panels<T>(in_, 1, out_, lanes_));
        GRU_NATIVE_COUNTING(all.back().work = Work::mac_inputs);
        fill_panels(all.back(), in_, lanes_, [&](int, Index unit) { return rows.data() + unit * out_; });
      }
    return all;
  });
}

template <class T>
void PackedConv1d<T>::backward(const OperationRows& call, const Kept<T>& kept, Matrix<T> d, Matrix<T> dx,
                               const std::vector<T*>& dweights, Arena& arena, TeamLease& team) const {
  const Index channels = own_.in_channels, taps = own_.kernel_size;
  const ChosenActivation<T> f = chosen<T>(own_.activation);
  const std::vector<Index> begins = begins_of(windows_of(own_), call.in);
  const std::vector<PackedMatrix<T>>* const back = dx.base ? &transposed() : nullptr;
  // The gradients of the padded sequences, in rows with room for whole panels of the last group.
  const Index wide = back ? panel_stride<T>(channels - in_ + back->front().columns()) : 0;
  T* const padded = arena.template take_zeroed<T>(begins.back() * wide);
  Index* const offset = arena.template take<Index>(back ? call.out.rows : 0);
  for (Index row = 0; back && row < call.out.rows; ++row) offset[row] = kept.offset[row] / channels * wide;
  T* const dw = arena.template take<T>(dweights.empty() ? 0 : own_.out_channels * depth_);
  std::vector<T*> scratch;
  for (int m = 0; m < team.size(); ++m)
    scratch.push_back(arena.template take<T>(weight_gradients_scratch<T>(out_, at_once() ? depth_ : in_, team.size())));

  Crew all(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    const Share mine = share_of(call.out.rows, whole_tiles, rank, team.size());
    for (Index row = mine.begin; own_.activation != Activation::identity && row < mine.end; ++row)
      kernels_for<T>().function.backward(f, kept.outputs.base + row * kept.outputs.stride, d.base + row * d.stride,
                                         d.base + row * d.stride, own_.out_channels);
    all.barrier(rank);
    for (Index g = 0; !dweights.empty() && g < own_.groups; ++g)
      sum_gradients(call, kept, d, g, dw + g * out_ * depth_, own_.bias ? dweights[1] + g * out_ : nullptr,
                    scratch[static_cast<std::size_t>(rank)], rank, team.size());
    // Rows of one tap are different ones, those of two taps may be the same.
    for (Index tap = 0; back && tap < taps; ++tap) {
      for (Index g = 0; g < own_.groups && mine.begin < mine.end; ++g) {
        const Rows<T> to{padded + g * in_ + tap * own_.dilation * wide, 0, offset};
        Product<T> p = product_of_rows((*back)[static_cast<std::size_t>(g * taps + tap)],
                                       Rows<const T>{d.base + g * out_, d.stride, nullptr}, read_only(to), {}, mine);
        p.acc = to;
        multiply(p);
      }
      all.barrier(rank);
    }
  });
  if (back)
    each_step(windows_of(own_).left, call.in, begins, {0, call.in.seq_len},
              [&](Index row, Index step) { std::copy_n(padded + step * wide, channels, dx.base + row * dx.stride); });
  if (dweights.empty()) return;
  for (Index g = 0; g < own_.groups; ++g)
    for (Index k = 0; k < out_; ++k)
      for (Index tap = 0; tap < taps; ++tap)
        for (Index c = 0; c < in_; ++c) {
          const T* const from = dw + g * out_ * depth_;
          dweights[0][(g * out_ + k) * depth_ + c * taps + tap] =
              at_once() ? from[k * depth_ + tap * in_ + c] : from[(tap * out_ + k) * in_ + c];
        }
}

template <class T>
std::unique_ptr<OperationStream<T>> PackedConv1d<T>::stream(Index inputs, Index batch, Index window,
                                                            Arena& arena) const {
  return stream_of_windows<T>([this](Rows<const T> first, Matrix<T> y, Share rows) { convolve(first, y, rows); },
                              windows_of(own_), inputs, batch, window, arena);
}

template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const Conv1dSpec& own) {
  return std::make_shared<PackedConv1d<T>>(spec, own);
}
template class PackedConv1d<float>;
template class PackedConv1d<double>;
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const Conv1dSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const Conv1dSpec&);

}  // namespace gru_native
