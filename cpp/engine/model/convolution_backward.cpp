// The way back of convolutions. The gradient of x is a convolution of the gradient of y with the taps turned round: of
// y[u] = sum over taps k of w[k] x[stride u + dilation k] follows
//   dx[j stride + phase] = sum over the taps with dilation k = m stride + phase of w[k]^T dy[j - m],
// across and down alike, for each phase that some tap has. Elsewhere dx is 0.
#include <algorithm>

#include "engine/model/convolution.h"
#include "engine/model/images.h"

namespace gru_native {
namespace {

constexpr Index numbers_at_once = 8192;  // of x and d, read again for each tile of gradients

// Taps of one phase along one side, the farthest back first.
struct SidePhase {
  Index phase;
  std::vector<Index> taps, back;
};
std::vector<SidePhase> phases_of(const Windows& w) {
  std::vector<SidePhase> all;
  for (Index tap = w.taps - 1; tap >= 0; --tap) {
    const Index phase = tap * w.dilation % w.stride, back = tap * w.dilation / w.stride;
    auto at = std::find_if(all.begin(), all.end(), [&](const SidePhase& p) { return p.phase == phase; });
    if (at == all.end()) at = all.insert(all.end(), {phase, {}, {}});
    at->taps.push_back(tap);
    at->back.push_back(back);
  }
  return all;
}

}  // namespace

template <class T>
std::vector<typename PackedConvolution<T>::Phase> PackedConvolution<T>::make_phases() const {
  std::vector<Phase> all;
  std::vector<T> rows;
  for (const SidePhase& across : phases_of(own_.across))
    for (const SidePhase& down : phases_of(own_.down)) {
      const Index depth = static_cast<Index>(across.taps.size() * down.taps.size()) * out_;
      Phase& made = all.emplace_back(
          Phase{across.phase, down.phase, across.back, down.back, empty_taps<T>(own_.groups, out_, in_, depth)});
      GRU_NATIVE_COUNTING(made.weight.set_work(Work::mac_inputs));
      rows.resize(static_cast<std::size_t>(own_.in_channels * depth));
      T* to = rows.data();
      for (Index g = 0; g < own_.groups; ++g)
        for (Index c = 0; c < in_; ++c)
          for (const Index a : across.taps)
            for (const Index d : down.taps)
              for (Index k = 0; k < out_; ++k)
                *to++ = rows_.data()[(g * out_ + k) * depth_ + (a * own_.down.taps + d) * in_ + c];
      fill_taps(made.weight, depth, rows.data());
    }
  return all;
}

// Down an image, only taps that reach an output are summed, so rows are grouped by these taps: of a convolution that
// makes one row of a whole image, each row of dots has one.
template <class T>
struct PackedConvolution<T>::Spread {
  struct Places {
    std::size_t phase;
    std::vector<Run> runs;
    Index begin, end;  // of all places
    Rows<const T> windows;
    Rows<T> dx;
  };

  Spread(const PackedConvolution& conv, const std::vector<Phase>& phases, const OperationRows& call, Matrix<T> dx,
         Arena& arena)
      : own(conv.own_),
        high(call.outputs / own.out_channels),
        before(span_of(own.across) / own.across.stride),
        together(call.in.ragged() ? 1 : call.in.batch) {
    const Index inputs_high = call.inputs / own.in_channels;
    begins.push_back(0);
    for (Index row = 0; row < call.in.batch / together; ++row) {
      const Index read = (own.across.left + call.in.length_of(row) - 1) / own.across.stride + 1;
      begins.push_back(begins.back() + before + std::max(call.out.length_of(row), read));
    }
    d = arena.template take<T>(begins.back() * together * high * own.out_channels);
    evenly = !call.in.ragged() && high == 1 && inputs_high == 1 && own.across.stride == 1;
    const Index places_at_most = phases.empty() || evenly ? 0 : call.in.rows * inputs_high;
    from = arena.template take<Index>(places_at_most);
    to = arena.template take<Index>(places_at_most);
    for (std::size_t i = 0; i < phases.size(); ++i) {
      const Index stride = own.down.stride, first = (phases[i].down - own.down.left % stride + stride) % stride;
      for (Index h = first; h < inputs_high;) {
        const Share taps = taps_of(phases[i], h);
        Index end = h + stride;
        while (end < inputs_high && same(taps_of(phases[i], end), taps)) end += stride;
        if (taps.begin < taps.end) add(phases[i], i, taps, {h, std::min(end, inputs_high)}, conv.out_, call, dx);
        h = end;
      }
    }
  }
  // The zeros around sequences.
  void clear_sides(const Timeline& out) const {
    const Index step = together * high * own.out_channels;
    for (std::size_t row = 0; row + 1 < begins.size(); ++row) {
      const Index end = before + out.length_of(static_cast<Index>(row));
      std::fill_n(d + begins[row] * step, before * step, T(0));
      std::fill(d + (begins[row] + end) * step, d + begins[row + 1] * step, T(0));
    }
  }
  Index places_of_x() const { return count; }
  // Where an output's gradient lies; steps begin with the zeros before a sequence.
  Index at(Index row, Index step, Index h) const {
    const Index column = together > 1 ? step * together + row : begins[static_cast<std::size_t>(row)] + step;
    return (column * high + h) * own.out_channels;
  }

  const ConvolutionOptions& own;
  const Index high, before;              // of y; zeros before a sequence
  const Index together;  // sequences whose steps lie side by side: all if they are of one length, or 1
  std::vector<Index> begins;  // of each sequence, or of all together, in steps
  T* d = nullptr;  // [step][sequence][height][channel of y]
  bool evenly;  // places follow one another, and need no list
  Index *from = nullptr, *to = nullptr;  // of each row of a place: where its sums begin in d, and where they go in dx
  std::vector<Places> places;

 private:
  static bool same(Share a, Share b) { return a.begin == b.begin && a.end == b.end; }
  // Those of a row of dots of this phase.
  Share taps_of(const Phase& phase, Index h) const {
    const Index j = (own.down.left + h) / own.down.stride, taps = static_cast<Index>(phase.back_down.size());
    Share found{0, taps};
    while (found.begin < taps && phase.back_down[static_cast<std::size_t>(found.begin)] > j) ++found.begin;
    while (found.end > found.begin && phase.back_down[static_cast<std::size_t>(found.end) - 1] <= j - high) --found.end;
    return found;
  }
  void add(const Phase& phase, std::size_t number, Share taps, Share rows, Index depth, const OperationRows& call,
           Matrix<T> dx) {
    Places made{number, {}, count, count, {d, 0, from + count}, {dx.base, 0, to + count}};
    const Index down = static_cast<Index>(phase.back_down.size());
    const Index least = phase.back_down[static_cast<std::size_t>(taps.begin)];  // the farthest back
    for (std::size_t a = 0; a < phase.back_across.size(); ++a)
      for (Index b = taps.begin; b < taps.end; ++b) {
        const Index place =
            (before - phase.back_across[a]) * together * high + least - phase.back_down[static_cast<std::size_t>(b)];
        add_tap(made.runs, {place * own.out_channels, (static_cast<Index>(a) * down + b) * depth, depth},
                own.groups == 1);
      }
    const Index first = (own.down.left + rows.begin) / own.down.stride - least;
    if (evenly) {
      made.windows = {d + at(0, own.across.left, first), own.out_channels, nullptr};
      made.dx = rows_of(dx);
      count += call.in.rows;
    }
    for (Index t = 0; t < call.in.seq_len && !evenly; ++t) {
      const Index x = own.across.left + t;
      if (x % own.across.stride != phase.across) continue;
      for (Index row = 0; row < call.in.alive(t); ++row) {
        Index begin = at(row, x / own.across.stride, first);
        const Index place = (call.in.first(t) + row) * dx.stride;
        for (Index h = rows.begin; h < rows.end; h += own.down.stride, begin += own.out_channels) {
          from[count] = begin;
          to[count++] = place + h * own.in_channels;
        }
      }
    }
    made.end = count;
    places.push_back(std::move(made));
  }
  Index count = 0;
};

// Of the weights: each member writes those of its outputs, whose sums it makes in dw: of each group and run
// [out of the group][k of the run, whole vectors].
template <class T>
void PackedConvolution<T>::sum_gradients(const Kept<T>& kept, Rows<const T> d, Index rows, const std::vector<Run>& runs,
                                         T* dw, T* dweight, int member, int members) const {
  if (weight_.is_depthwise()) return sum_depthwise_gradients(kept, d, rows, runs, dw, dweight, member, members);
  constexpr Index outputs_of_a_tile = 4;
  const Share mine = share_of(out_, outputs_of_a_tile, member, members);
  const Index at_once = std::max<Index>(16, std::min<Index>(256, numbers_at_once / (in_ + out_)));
  Progress progress;
  for (Index g = 0; g < own_.groups && mine.begin < mine.end; ++g) {
    T* const of_group = dw + g * out_ * columns_of(runs);
    for (Index begin = 0; begin < rows; begin += at_once) {
      const Index count = std::min(at_once, rows - begin);
      T* made = of_group;
      for (const Run& run : runs) {
        const Index stride = whole_vectors(run.depth);
        const Rows<const T> windows{kept.rows.base + g * in_ + run.from, 0, kept.offset};
        kernels_for<T>().taps.gradient(
            {begin, begin + count, windows, from_column(d, g * out_), run.depth, mine.begin, mine.end, made, stride});
        made += out_ * stride;
        progress.add(static_cast<double>(count * (mine.end - mine.begin)) * static_cast<double>(stride));
      }
    }
    const T* made = of_group;
    for (const Run& run : runs) {
      const Index stride = whole_vectors(run.depth);
      for (Index k = mine.begin; k < mine.end; ++k) {
        T* const to = dweight + (g * out_ + k) * depth_;
        const T* from = made + k * stride;
        for (Index tap = run.first / in_; tap < (run.first + run.depth) / in_; ++tap)
          for (Index c = 0; c < in_; ++c) to[torch_place(own_, tap, c)] = *from++;
      }
      made += out_ * stride;
    }
  }
}

// The same; dw: [tap][channel, in whole vectors].
template <class T>
void PackedConvolution<T>::sum_depthwise_gradients(const Kept<T>& kept, Rows<const T> d, Index rows,
                                                   const std::vector<Run>& runs, T* dw, T* dweight, int member,
                                                   int members) const {
  const Share mine = share_of(own_.out_channels, kernels_for<T>().lanes, member, members);
  DepthwiseGradient<T> g{};
  g.x = {kept.rows.base, 0, kept.offset};
  g.d = d;
  g.runs = runs.data();
  g.run_count = taps_;
  g.channel_begin = mine.begin, g.channel_end = mine.end;
  g.dw = dw;
  g.dw_stride = weight_.depthwise_stride;
  GRU_NATIVE_COUNTING(g.channels = own_.out_channels);
  const Index at_once = std::max<Index>(16, std::min<Index>(256, numbers_at_once / own_.out_channels));
  Progress progress;
  for (g.row_begin = 0; g.row_begin < rows && mine.begin < mine.end; g.row_begin = g.row_end) {
    g.row_end = std::min(g.row_begin + at_once, rows);
    kernels_for<T>().taps.depthwise_gradient(g);
    progress.add(static_cast<double>((g.row_end - g.row_begin) * taps_) * static_cast<double>(mine.end - mine.begin));
  }
  for (Index channel = mine.begin; channel < mine.end; ++channel)
    for (Index tap = 0; tap < taps_; ++tap)
      dweight[channel * depth_ + torch_place(own_, tap, 0)] = dw[tap * g.dw_stride + channel];
}

template <class T>
Index PackedConvolution<T>::whole_vectors(Index columns) {
  return round_up(columns, kernels_for<T>().lanes);
}
template <class T>
Index PackedConvolution<T>::columns_of(const std::vector<Run>& runs) {
  Index all = 0;
  for (const Run& run : runs) all += whole_vectors(run.depth);
  return all;
}

// da of y = f(a), for n numbers and no others.
template <class T>
void PackedConvolution<T>::gradient_of_sums(const T* y, const T* dy, T* da, Index n) const {
  if (own_.activation == Activation::identity) return copy_row(dy, n, da);
  const ChosenActivation<T> f = chosen<T>(own_.activation);
  const Index whole = n / most_lanes * most_lanes;
  if (whole > 0) kernels_for<T>().function.backward(f, y, dy, da, whole);
  if (whole == n) return;
  T last_y[most_lanes] = {}, last[most_lanes] = {};
  std::copy_n(y + whole, n - whole, last_y);
  std::copy_n(dy + whole, n - whole, last);
  kernels_for<T>().function.backward(f, last_y, last, last, n - whole);
  std::copy_n(last, n - whole, da + whole);
}

template <class T>
void PackedConvolution<T>::backward(const OperationRows& call, const Kept<T>& kept, Matrix<T> d, Matrix<T> dx,
                                    const std::vector<T*>& dweights, Arena& arena, TeamLease& team) const {
  const Index channels = own_.out_channels, high = call.outputs / channels;
  const Padded padded(own_.across, own_.down, own_.in_channels, call.inputs / own_.in_channels, call.in);
  const std::vector<Run> runs = runs_at(padded.height * own_.in_channels);
  const std::vector<Phase> none;
  const std::vector<Phase>& phases = dx.base ? phases_.get([&] { return make_phases(); }) : none;
  const Spread spread(*this, phases, call, dx, arena);
  const bool covers_x = spread.places_of_x() == call.in.rows * (call.inputs / own_.in_channels);
  const bool listed = call.in.ragged() && !dweights.empty();
  Index* const at = arena.template take<Index>(listed ? call.out.rows * high : 0);
  const T* const first = spread.d + spread.at(0, spread.before, 0);
  const Rows<const T> gradients = listed ? Rows<const T>{spread.d, 0, at} : Rows<const T>{first, channels, nullptr};
  const Index sums = weight_.is_depthwise() ? taps_ * weight_.depthwise_stride : channels * columns_of(runs);
  T* const dw = arena.template take<T>(dweights.empty() ? 0 : sums);
  T* const db = arena.template take_zeroed<T>(whole_vectors(channels));
  Index widest = 0;
  for (const Phase& phase : phases) widest = std::max(widest, phase.weight.start_columns());
  const T* const zeros = arena.template take_zeroed<T>(widest);
  std::vector<T*> scratch(static_cast<std::size_t>(team.size()));
  for (T*& own : scratch)
    own = arena.template take<T>(dx.base ? Taps<T>::rows_at_once * padded_stride(widest, sizeof(T)) : 0);

  Crew all(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    if (rank == 0) spread.clear_sides(call.out);
    Progress progress;
    const Share steps = share_of(call.out.seq_len, 1, rank, team.size());
    const bool whole = !call.in.ragged() && own_.activation == Activation::identity && d.stride == call.outputs;
    if (whole)
      std::copy(d.base + call.out.first(steps.begin) * d.stride, d.base + call.out.first(steps.end) * d.stride,
                spread.d + spread.at(0, spread.before + steps.begin, 0));
    for (Index t = steps.begin; t < steps.end && !whole; ++t)
      for (Index row = 0; row < call.out.alive(t); ++row) {
        const Index i = call.out.first(t) + row, place = spread.at(row, spread.before + t, 0);
        gradient_of_sums(kept.outputs.base + i * kept.outputs.stride, d.base + i * d.stride, spread.d + place,
                         call.outputs);
        for (Index h = 0; h < high && listed; ++h) at[i * high + h] = place + h * channels;
        progress.add(macs_of_function * static_cast<double>(call.outputs));
      }
    if (dx.base && !covers_x) {
      const Share rows = share_of(call.in.rows, 1, rank, team.size());
      for (Index row = rows.begin; row < rows.end; ++row) std::fill_n(dx.base + row * dx.stride, call.inputs, T(0));
    }
    all.barrier(rank);
    if (!dweights.empty()) {
      sum_gradients(kept, gradients, call.out.rows * high, runs, dw, dweights[0], rank, team.size());
      const Share mine = share_of(channels, kernels_for<T>().lanes, rank, team.size());
      for (Index row = 0; own_.bias && mine.begin < mine.end && row < call.out.batch / spread.together; ++row) {
        const Index rows = call.out.length_of(row) * spread.together * high;
        kernels_for<T>().column_sums(spread.d + spread.at(row, spread.before, 0) + mine.begin, channels, rows,
                                     mine.end - mine.begin, db + mine.begin);
        GRU_NATIVE_EXECUTED(add, rows * (mine.end - mine.begin));
        progress.add(static_cast<double>(rows * (mine.end - mine.begin)));
      }
      if (own_.bias) std::copy(db + mine.begin, db + mine.end, dweights[1] + mine.begin);
    }
    for (const auto& places : spread.places) {
      const Share mine = share_of(places.end - places.begin, 1, rank, team.size());
      const Taps<T> sums{phases[places.phase].weight, places.runs, {zeros, 0, nullptr}};
      if (sums.weight.columns() == own_.in_channels) {
        sums.each_sum(places.windows, mine, places.dx, [](Index, Index) {});
        continue;
      }
      sums.each_sum(places.windows, mine, scratch[static_cast<std::size_t>(rank)],
                    [&](Index begin, Index count, Matrix<T> from) {
                      for (Index i = 0; i < count; ++i)
                        copy_row(from.base + i * from.stride, own_.in_channels, row_at(places.dx, begin + i));
                    });
    }
  });
}

template std::vector<PackedConvolution<float>::Phase> PackedConvolution<float>::make_phases() const;
template std::vector<PackedConvolution<double>::Phase> PackedConvolution<double>::make_phases() const;
template void PackedConvolution<float>::backward(const OperationRows&, const Kept<float>&, Matrix<float>, Matrix<float>,
                                                 const std::vector<float*>&, Arena&, TeamLease&) const;
template void PackedConvolution<double>::backward(const OperationRows&, const Kept<double>&, Matrix<double>,
                                                  Matrix<double>, const std::vector<double*>&, Arena&,
                                                  TeamLease&) const;

}  // namespace gru_native
