#include "engine/model/convolution.h"

#include <algorithm>

#include "engine/model/edges.h"
#include "engine/model/window_stream.h"

namespace gru_native {
namespace {

ConvolutionOptions options_of(const Conv1dSpec& s) {
  return {s.in_channels, s.out_channels, s.groups, windows_of(s), {1, 1, 1, 0, 0}, s.bias, s.activation};
}
ConvolutionOptions options_of(const Conv2dSpec& s) {
  return {s.in_channels, s.out_channels, s.groups, windows_of(s), down_of(s), s.bias, s.activation};
}

// Where a weight of torch's (out, channel, height, width) lies, from that of its row; ours are
// [width][height][channel].
Index torch_place(const ConvolutionOptions& own, Index tap, Index channel) {
  return channel * own.across.taps * own.down.taps + tap % own.down.taps * own.across.taps + tap / own.down.taps;
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

// A dot of some parts, whose numbers of a tap are one run for each part; first: where these begin in k.
template <class T>
std::vector<Run> PackedConvolution<T>::runs_of(const ImagePart<T>* begin, const ImagePart<T>* end, Index first) const {
  std::vector<Run> runs;
  for (const ImagePart<T>* part = begin; part != end; first += part++->channels)
    add_tap(runs, {distance(*begin, *part), first, part->channels}, true);
  return runs;
}

// Where the windows are single dots that lie evenly in all parts, their distance; 0: they are to be copied. The first
// part may be repeated: sums begin as those over it, which are made for each of its own dots.
template <class T>
Index PackedConvolution<T>::together(const ImageParts<T>& parts, const Padded& padded, Index batch,
                                     Index height) const {
  if (taps_ > 1 || own_.groups > 1 || padded.pads()) return 0;
  const bool pairs = weight_.in_pairs(), moves = own_.across.stride * own_.down.stride > 1;
  const ImagePart<T>*const begin = parts.data(), *const end = begin + parts.size();
  for (const ImagePart<T>* part = begin; part != end; ++part)
    if ((pairs && part->channels % 2 != 0) || (part->repeats() && (pairs || moves || part != begin))) return 0;
  if (begin->repeats() && common_dot(begin, begin + 1, batch, height / begin->down) == 0) return 0;
  return common_dot(begin + begin->repeats(), end, batch, height);
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
void PackedConvolution<T>::forward(const OperationRows& call, Rows<const T> x, Matrix<T> y, TeamLease& team,
                                   Kept<T>* kept) const {
  const auto* parts = static_cast<const ImageParts<T>*>(call.parts);
  const Index channels = own_.in_channels, high = call.outputs / own_.out_channels, rows = call.out.rows * high;
  const Padded padded(own_.across, own_.down, channels, call.inputs / channels, call.in);
  if (parts && parts->size() == 1 && is_dense(parts->front(), call.in.batch, call.inputs / channels)) parts = nullptr;
  const Index dot = parts ? together(*parts, padded, call.in.batch, call.inputs / channels) : channels;
  const ImagePart<T>* const repeated = parts && dot > 0 && parts->front().repeats() ? parts->data() : nullptr;
  const ImagePart<T>* const first_part = parts ? parts->data() + (repeated ? 1 : 0) : nullptr;
  if (parts) x = {first_part->data, call.inputs / channels * dot, nullptr};
  // Where its columns of dots lie evenly, and have no zeros above or below, x itself is the image but for its ends. A
  // tape has a copy of its own.
  const bool even = own_.across.taps == 1 || (!x.offset && !call.in.ragged());
  const bool copies =
      kept || dot == 0 || padded.pads_down() || !even || (padded.pads() && (x.offset || call.in.ragged()));
  const std::vector<Run> runs =
      parts && !copies ? runs_of(first_part, parts->data() + parts->size(), repeated ? repeated->channels : 0)
                       : runs_at(copies ? padded.height * channels : call.in.batch * x.stride);
  const Edges edges(own_.across, call.in.seq_len, call.out.seq_len);
  const Share before{0, edges.first_whole}, behind{edges.end_whole, call.out.seq_len};
  T* const copy = call.arena->template take<T>(copies ? padded.numbers() : 0);
  T* const image_before = call.arena->template take<T>(copies ? 0 : edges.steps(before) * call.in.batch * x.stride);
  T* const image_behind = call.arena->template take<T>(copies ? 0 : edges.steps(behind) * call.in.batch * x.stride);
  // Windows of sequences, step after step, begin where the rows of x do.
  const bool evenly = !copies && !x.offset && high == 1 && own_.across.stride == 1;
  Index* const offset = evenly ? nullptr : call.arena->template take<Index>(rows);
  for (Index t = 0; t < call.out.seq_len && !evenly; ++t) {
    const Index step = t * own_.across.stride;
    const Index first = t < before.end ? 0 : t < behind.begin ? own_.across.left : behind.begin * own_.across.stride;
    Index* to = offset + call.out.first(t) * high;
    for (Index row = 0; row < call.out.alive(t); ++row) {
      const Index from = call.in.first(step - first) + row;
      Index begin = copies ? padded.at(row, step, 0) : x.offset ? x.offset[from] : from * x.stride;
      for (Index h = 0; h < high; ++h, begin += own_.down.stride * (copies ? channels : dot)) *to++ = begin;
    }
  }
  if (kept) {
    kept->rows = {copy, channels};
    kept->outputs = y;
    kept->offset = offset;
  }
  Taps<T> sums = taps(runs);
  if (call.bias) {
    T* const bias = call.arena->template take_zeroed<T>(weight_.start_columns());
    std::copy_n(static_cast<const T*>(call.bias), own_.out_channels, bias);
    sums.start = {bias, 0, nullptr};
  }
  // Sums over a repeated part: one row for each of its own dots, at which those over all parts begin.
  const std::vector<Run> repeated_runs = repeated ? runs_of(repeated, repeated + 1, 0) : std::vector<Run>();
  Taps<T> repeated_sums = sums.with(repeated_runs);
  const Index own_height = repeated ? high / repeated->down : 0;
  const Index own_rows = repeated ? call.in.rows / repeated->across * own_height : 0;
  const Matrix<T> begun{call.arena->template take<T>(own_rows * sums.columns()), sums.columns()};
  const auto offsets = [&](const auto& of_dot) {
    Index* const made = call.arena->template take<Index>(rows);
    for (Index row = 0; row < call.out.rows; ++row)
      for (Index h = 0; h < high; ++h) made[row * high + h] = of_dot(row, h);
    return made;
  };
  if (repeated) {
    const Index batch = call.in.batch;
    sums.start = {begun.base, 0, offsets([&](Index row, Index h) {
                    const Index own_row = row / batch / repeated->across * batch + row % batch;
                    return (own_row * own_height + h / repeated->down) * begun.stride;
                  })};
  }
  const bool in_place = sums.columns() == own_.out_channels;
  const bool dense = high == 1 || y.stride == call.outputs;  // else there is something between the columns of y
  const auto in_y = [&](Index row, Index h) { return row * y.stride + h * own_.out_channels; };
  Index* const y_offset = in_place && !dense ? offsets(in_y) : nullptr;
  std::vector<T*> scratch(static_cast<std::size_t>(team.size()));
  for (T*& own : scratch) own = call.arena->template take<T>(in_place ? 0 : sums.scratch_size());
  Crew all(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    if (copies) {
      if (rank == 0) padded.clear_sides(call.in, copy);
      const Share steps = share_of(call.in.seq_len, 1, rank, team.size());
      if (parts) padded.copy(call.in, steps, *parts, copy);
      else padded.copy(call.in, steps, x, copy);
    } else if (rank == 0) {
      edges.copy(before, x, call.in.batch, call.inputs, image_before);
      edges.copy(behind, x, call.in.batch, call.inputs, image_behind);
    }
    if (repeated)
      repeated_sums.each_sum({repeated->data, repeated->dot, nullptr}, share_of(own_rows, 1, rank, team.size()),
                             rows_of(begun), [](Index, Index) {});
    all.barrier(rank);
    const Share mine = share_of(rows, 1, rank, team.size());
    if (mine.begin == mine.end) return;
    Progress progress;
    const auto place = [&](Index row) { return y.base + in_y(row / high, row % high); };
    const auto finish_block = [&](Index begin, Index count) {
      if (y.stride == call.outputs) finish(place(begin), count * own_.out_channels, call.swish);
      else
        for (Index row = begin, now; row < begin + count; row += now) {
          now = std::min(high - row % high, begin + count - row);
          finish(place(row), now * own_.out_channels, call.swish);
        }
      progress.add(macs_of_function * static_cast<double>(count * own_.out_channels));
    };
    const auto sum_windows = [&](const T* image, Index first, Index end, Index begins) {  // row `begins` at the image
      const Rows<const T> windows{image - (evenly ? begins * x.stride : 0), x.stride, offset};
      const Share own{std::max(mine.begin, first), std::min(mine.end, end)};
      if (in_place) return sums.each_sum(windows, own, Rows<T>{y.base, y.stride / high, y_offset}, finish_block);
      sums.each_sum(windows, own, scratch[static_cast<std::size_t>(rank)],
                    [&](Index begin, Index count, Matrix<T> from) {
                      for (Index i = 0; i < count; ++i)
                        copy_row(from.base + i * from.stride, own_.out_channels, place(begin + i));
                      finish_block(begin, count);
                    });
    };
    if (copies) return sum_windows(copy, 0, rows, 0);
    const Index inner = call.out.first(before.end) * high, last = call.out.first(behind.begin) * high;
    sum_windows(image_before, 0, inner, 0);
    sum_windows(x.base, inner, last, own_.across.left * call.in.batch);
    sum_windows(image_behind, last, rows, last);
  });
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
