// The way forward of convolutions: where windows lie (Source), at what their sums begin (Begun), where they go (Sink).
#include <algorithm>

#include "engine/model/convolution.h"
#include "engine/model/edges.h"
#include "engine/model/images.h"

namespace gru_native {
namespace {

// A dot of some parts, whose numbers of a tap are one run for each part; first: where these begin in k.
template <class T>
std::vector<Run> runs_of(const ImagePart<T>* begin, const ImagePart<T>* end, Index first) {
  std::vector<Run> runs;
  for (const ImagePart<T>* part = begin; part != end; first += part++->channels)
    add_tap(runs, {distance(*begin, *part), first, part->channels}, true);
  return runs;
}

// A list of place(row, h) for each dot of y.
template <class F>
Index* list_of_dots(const OperationRows& call, Index high, const F& place) {
  Index* const made = call.arena->template take<Index>(call.out.rows * high);
  for (Index row = 0; row < call.out.rows; ++row)
    for (Index h = 0; h < high; ++h) made[row * high + h] = place(row, h);
  return made;
}

}  // namespace

// x itself is the image but for its ends where its columns of dots lie evenly and have no zeros above or below; parts
// are where all their dots do. Else there is a copy, with the zeros around it. A tape has a copy of its own.
template <class T>
struct PackedConvolution<T>::Source {
  Source(const PackedConvolution& conv, const OperationRows& call, Rows<const T> given, bool kept)
      : call(call),
        own(conv.own_),
        in_height(call.inputs / own.in_channels),
        high(call.outputs / own.out_channels),
        rows(call.out.rows * high),
        padded(own.across, own.down, own.in_channels, in_height, call.in),
        parts(parts_of(call, in_height)),
        dot(parts ? together(conv) : own.in_channels),
        x(given),
        edges(own.across, call.in.seq_len, call.out.seq_len),
        before{0, edges.first_whole},
        behind{edges.end_whole, call.out.seq_len} {
    if (parts && dot > 0 && parts->front().repeats()) repeated = parts->data();
    const ImagePart<T>* const first = parts ? parts->data() + (repeated ? 1 : 0) : nullptr;
    if (parts) x = {first->data, in_height * dot, nullptr};
    const bool listed = x.offset || call.in.ragged();
    copies = kept || dot == 0 || padded.pads_down() || (listed && (padded.pads() || own.across.taps > 1));
    if (parts && !copies) runs = runs_of(first, parts->data() + parts->size(), repeated ? repeated->channels : 0);
    else runs = conv.runs_at(copies ? padded.height * own.in_channels : call.in.batch * x.stride);
    copy = take(copies ? padded.numbers() : 0);
    image_before = take(copies ? 0 : edges.steps(before) * call.in.batch * x.stride);
    image_behind = take(copies ? 0 : edges.steps(behind) * call.in.batch * x.stride);
    evenly = !copies && !x.offset && high == 1 && own.across.stride == 1;
    if (!evenly) offset = where_windows_begin();
  }
  // What members do before any sums.
  void fill(int rank, int members) const {
    if (copies) {
      if (rank == 0) padded.clear_sides(call.in, copy);
      const Share steps = share_of(call.in.seq_len, 1, rank, members);
      if (parts) padded.copy(call.in, steps, *parts, copy);
      else padded.copy(call.in, steps, x, copy);
    } else if (rank == 0) {
      edges.copy(before, x, call.in.batch, call.inputs, image_before);
      edges.copy(behind, x, call.in.batch, call.inputs, image_behind);
    }
  }
  // f(windows, rows) for the rows of a share.
  template <class F>
  void each(Share mine, const F& f) const {
    const auto in = [&](const T* image, Index first, Index end, Index begins) {  // row `begins` at the image
      f(Rows<const T>{image - (evenly ? begins * x.stride : 0), x.stride, offset},
        Share{std::max(mine.begin, first), std::min(mine.end, end)});
    };
    if (copies) return in(copy, 0, rows, 0);
    const Index inner = call.out.first(before.end) * high, last = call.out.first(behind.begin) * high;
    in(image_before, 0, inner, 0);
    in(x.base, inner, last, own.across.left * call.in.batch);
    in(image_behind, last, rows, last);
  }

  const OperationRows& call;
  const ConvolutionOptions& own;
  const Index in_height, high, rows;  // dots in a column of x and of y, and of y in all columns
  const Padded padded;
  const ImageParts<T>* const parts;           // null: x is no parts, or one that lies as an image does
  const Index dot;                            // numbers from one dot of x to the next; 0: they lie otherwise
  const ImagePart<T>* repeated = nullptr;     // whose own dots' sums are made once
  Rows<const T> x;
  const Edges edges;
  const Share before, behind;  // windows that reach over an end
  bool copies = true, evenly = false;         // evenly: windows, step after step, begin where the rows of x do
  std::vector<Run> runs;
  T *copy, *image_before, *image_behind;
  Index* offset = nullptr;  // where the windows begin; null: evenly

 private:
  T* take(Index n) const { return call.arena->template take<T>(n); }
  static const ImageParts<T>* parts_of(const OperationRows& call, Index height) {
    const auto* parts = static_cast<const ImageParts<T>*>(call.parts);
    return parts && parts->size() == 1 && is_dense(parts->front(), call.in.batch, height) ? nullptr : parts;
  }
  // Where the windows are single dots that lie evenly in all parts, their distance; 0: they are to be copied. The first
  // part may be repeated: sums begin as those over it, which are made for each of its own dots.
  Index together(const PackedConvolution& conv) const {
    if (conv.taps_ > 1 || own.groups > 1 || padded.pads()) return 0;
    const bool pairs = conv.weight_.in_pairs(), moves = own.across.stride * own.down.stride > 1;
    const ImagePart<T>*const begin = parts->data(), *const end = begin + parts->size();
    for (const ImagePart<T>* part = begin; part != end; ++part)
      if ((pairs && part->channels % 2 != 0) || (part->repeats() && (pairs || moves || part != begin))) return 0;
    const Index batch = call.in.batch;
    if (begin->repeats() && common_dot(begin, begin + 1, batch, in_height / begin->down) == 0) return 0;
    return common_dot(begin + begin->repeats(), end, batch, in_height);
  }
  Index* where_windows_begin() const {
    Index* const made = call.arena->template take<Index>(rows);
    const Index next = own.down.stride * (copies ? own.in_channels : dot);
    for (Index t = 0; t < call.out.seq_len; ++t) {
      const Index step = t * own.across.stride;
      const Index first = t < before.end ? 0 : t < behind.begin ? own.across.left : behind.begin * own.across.stride;
      Index* to = made + call.out.first(t) * high;
      for (Index row = 0; row < call.out.alive(t); ++row) {
        const Index from = call.in.first(step - first) + row;
        Index begin = copies ? padded.at(row, step, 0) : x.offset ? x.offset[from] : from * x.stride;
        for (Index h = 0; h < high; ++h, begin += next) *to++ = begin;
      }
    }
    return made;
  }
};

// At the bias; where a part of x is repeated, at the sums over it, of which there is one for each of its own dots.
template <class T>
struct PackedConvolution<T>::Begun {
  Begun(const PackedConvolution& conv, const Source& source)
      : repeated(source.repeated),
        runs(repeated ? runs_of(repeated, repeated + 1, 0) : std::vector<Run>()),
        sums(conv.taps(runs)) {
    const OperationRows& call = source.call;
    if (call.bias) {
      T* const bias = call.arena->template take_zeroed<T>(conv.weight_.start_columns());
      std::copy_n(static_cast<const T*>(call.bias), conv.own_.out_channels, bias);
      sums.start = {bias, 0, nullptr};
    }
    start = sums.start;
    if (!repeated) return;
    const Index batch = call.in.batch, across = repeated->across, down = repeated->down, height = source.high / down;
    rows = call.in.rows / across * height;
    made = {call.arena->template take<T>(rows * conv.weight_.columns()), conv.weight_.columns()};
    start = {made.base, 0, list_of_dots(call, source.high, [&](Index row, Index h) {
               return ((row / batch / across * batch + row % batch) * height + h / down) * made.stride;
             })};
  }
  void fill(int rank, int members) const {
    if (repeated)
      sums.each_sum({repeated->data, repeated->dot, nullptr}, share_of(rows, 1, rank, members), rows_of(made),
                    [](Index, Index) {});
  }

  const ImagePart<T>* const repeated;
  const std::vector<Run> runs;
  Taps<T> sums;  // over the repeated part
  Index rows = 0;
  Matrix<T> made{};
  Rows<const T> start;
};

// In y at once where a product writes no more than its channels, else in y by way of a member's scratch.
template <class T>
struct PackedConvolution<T>::Sink {
  Sink(const PackedConvolution& conv, const OperationRows& call, Matrix<T> y, Index high, int members)
      : conv(conv), call(call), y(y), high(high), in_place(conv.weight_.columns() == conv.own_.out_channels) {
    const bool dense = high == 1 || y.stride == call.outputs;  // else there is something between the columns of y
    if (in_place && !dense) offset = list_of_dots(call, high, [&](Index row, Index h) { return place(row, h); });
    for (int i = 0; i < members; ++i)
      scratch.push_back(call.arena->template take<T>(in_place ? 0 : Taps<T>::scratch_size(conv.weight_)));
  }
  void sum(const Taps<T>& sums, Rows<const T> windows, Share rows, int rank, Progress& progress) const {
    const auto finish = [&](Index begin, Index count) { finish_block(begin, count, progress); };
    if (in_place) return sums.each_sum(windows, rows, Rows<T>{y.base, y.stride / high, offset}, finish);
    sums.each_sum(
        windows, rows, scratch[static_cast<std::size_t>(rank)], [&](Index begin, Index count, Matrix<T> from) {
          for (Index i = 0; i < count; ++i) {
            const Index row = begin + i;
            copy_row(from.base + i * from.stride, conv.own_.out_channels, y.base + place(row / high, row % high));
          }
          finish(begin, count);
        });
  }

  const PackedConvolution& conv;
  const OperationRows& call;
  const Matrix<T> y;
  const Index high;
  const bool in_place;
  const Index* offset = nullptr;
  std::vector<T*> scratch;

 private:
  Index place(Index row, Index h) const { return row * y.stride + h * conv.own_.out_channels; }
  void finish_block(Index begin, Index count, Progress& progress) const {
    const Index channels = conv.own_.out_channels;
    if (y.stride == call.outputs) conv.finish(y.base + begin * channels, count * channels, call.swish);
    else
      for (Index row = begin, now; row < begin + count; row += now) {
        now = std::min(high - row % high, begin + count - row);
        conv.finish(y.base + place(row / high, row % high), now * channels, call.swish);
      }
    progress.add(macs_of_function * static_cast<double>(count * channels));
  }
};

template <class T>
void PackedConvolution<T>::forward(const OperationRows& call, Rows<const T> x, Matrix<T> y, TeamLease& team,
                                   Kept<T>* kept) const {
  const Source source(*this, call, x, kept != nullptr);
  if (kept) {
    kept->rows = {source.copy, own_.in_channels};
    kept->outputs = y;
    kept->offset = source.offset;
  }
  const Begun begun(*this, source);
  const Taps<T> sums{weight_, source.runs, begun.start};
  const Sink sink(*this, call, y, source.high, team.size());
  Crew all(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    source.fill(rank, team.size());
    begun.fill(rank, team.size());
    all.barrier(rank);
    Progress progress;
    source.each(share_of(source.rows, 1, rank, team.size()),
                [&](Rows<const T> windows, Share rows) { sink.sum(sums, windows, rows, rank, progress); });
  });
}

template void PackedConvolution<float>::forward(const OperationRows&, Rows<const float>, Matrix<float>, TeamLease&,
                                                Kept<float>*) const;
template void PackedConvolution<double>::forward(const OperationRows&, Rows<const double>, Matrix<double>, TeamLease&,
                                                 Kept<double>*) const;

}  // namespace gru_native
