#include "engine/model/convolution.h"

#include <algorithm>

#include "engine/model/window_stream.h"

namespace gru_native {
namespace {

ConvolutionOptions options_of(const Conv1dSpec& s) {
  return {s.in_channels, s.out_channels, s.groups, windows_of(s), {1, 1, 1, 0, 0}, s.bias, s.activation};
}
ConvolutionOptions options_of(const Conv2dSpec& s) {
  return {s.in_channels, s.out_channels, s.groups, windows_of(s), down_of(s), s.bias, s.activation};
}

}  // namespace

template <class T>
PackedConvolution<T>::PackedConvolution(const OperationSpec& spec, const ConvolutionOptions& own)
    : PackedOperation<T>(spec),
      own_(own),
      in_(own.in_channels / own.groups),
      out_(own.out_channels / own.groups),
      taps_(own.across.taps * own.down.taps),
      depth_(in_ * taps_),
      line_(own.down.taps == 1 ? runs_at(own.in_channels) : std::vector<Run>()),
      weight_(empty_taps<T>(own.groups, in_, out_, depth_)),
      rows_(own.out_channels * depth_),
      bias_(weight_.start_columns()) {}

// Of images whose columns of dots are so many numbers apart.
template <class T>
std::vector<Run> PackedConvolution<T>::runs_at(Index step) const {
  std::vector<Run> runs;
  for (Index across = 0; across < own_.across.taps; ++across)
    for (Index down = 0; down < own_.down.taps; ++down) {
      const Index from = across * own_.across.dilation * step + down * own_.down.dilation * own_.in_channels;
      add_tap(runs, {from, (across * own_.down.taps + down) * in_, in_}, own_.groups == 1);
    }
  return runs;
}

template <class T>
void PackedConvolution<T>::fill(const std::vector<Weight<const T>>& weights) {
  for (Index row = 0; row < own_.out_channels; ++row)
    for (Index tap = 0; tap < taps_; ++tap)
      for (Index c = 0; c < in_; ++c)
        rows_.data()[row * depth_ + tap * in_ + c] = weights[0].data[row * depth_ + torch_place(own_, tap, c)];
  fill_taps(weight_, depth_, rows_.data());
  if (own_.bias) std::copy_n(weights[1].data, own_.out_channels, bias_.data());
}

template <class T>
void PackedConvolution<T>::unpack(const std::vector<Weight<T>>& weights) const {
  for (Index row = 0; row < own_.out_channels; ++row)
    for (Index tap = 0; tap < taps_; ++tap)
      for (Index c = 0; c < in_; ++c)
        weights[0].data[row * depth_ + torch_place(own_, tap, c)] = rows_.data()[row * depth_ + tap * in_ + c];
  if (own_.bias) std::copy_n(bias_.data(), own_.out_channels, weights[1].data);
}

template <class T>
double PackedConvolution<T>::macs_of_row(Index inputs) const {
  const Index height = output_len(own_.down, inputs / own_.in_channels);
  return static_cast<double>(own_.out_channels * height) * static_cast<double>(depth_) /
         static_cast<double>(own_.across.stride);
}

// Where a row is a row of the product, the last panel of the last group may be wider than the group.
template <class T>
Index PackedConvolution<T>::columns_written(Index outputs) const {
  return outputs > own_.out_channels ? outputs : weight_.columns();
}

template <class T>
void PackedConvolution<T>::finish(T* y, Index numbers, bool swish) const {
  if (swish) exactly<T>(y, y, numbers, kernels_for<T>().function.swish);
  else if (own_.activation != Activation::identity) activate_exactly(chosen<T>(own_.activation), y, y, numbers);
}

template <class T>
std::unique_ptr<OperationStream<T>> PackedConvolution<T>::stream(Index inputs, Index batch, Index window,
                                                                 Arena& arena) const {
  if (line_.empty()) return nullptr;
  return stream_of_windows<T>(
      [this](Rows<const T> first, Matrix<T> y, Share rows) {
        taps(line_).sum(first, rows_of(y), rows);
        in_parts(rows.begin, rows.end, macs_of_function * static_cast<double>(own_.out_channels), 1,
                 [&](Index begin, Index end) {
                   for (Index row = begin; row < end; ++row) finish(y.base + row * y.stride, own_.out_channels, false);
                 });
      },
      own_.across, inputs, batch, window, arena);
}

template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const Conv1dSpec& own) {
  return std::make_shared<PackedConvolution<T>>(spec, options_of(own));
}
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const Conv2dSpec& own) {
  return std::make_shared<PackedConvolution<T>>(spec, options_of(own));
}
template class PackedConvolution<float>;
template class PackedConvolution<double>;
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const Conv1dSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const Conv1dSpec&);
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const Conv2dSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const Conv2dSpec&);

}  // namespace gru_native
