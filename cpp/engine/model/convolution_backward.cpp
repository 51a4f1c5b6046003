// The way back of convolutions. The gradient of x is a convolution of the gradient of y with the taps turned round: of
// y[u] = sum over taps k of w[k] x[stride u + dilation k] follows
//   dx[j stride + phase] = sum over the taps with dilation k = m stride + phase of w[k]^T dy[j - m],
// across and down alike, for each phase that some tap has. Elsewhere dx is 0.
#include <algorithm>
#include <optional>

#include "engine/matrix/weight_gradients.h"
#include "engine/model/convolution.h"
#include "engine/model/images.h"

namespace gru_native {
namespace {

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
      Phase& made = all.emplace_back(Phase{across.phase, down.phase, across.back, down.back, {}});
      const Index depth = static_cast<Index>(across.taps.size() * down.taps.size()) * out_;
      rows.resize(static_cast<std::size_t>(in_ * depth));
      for (Index g = 0; g < own_.groups; ++g) {
        T* to = rows.data();
        for (Index c = 0; c < in_; ++c)
          for (const Index a : across.taps)
            for (const Index d : down.taps)
              for (Index k = 0; k < out_; ++k)
                *to++ = rows_.data()[(g * out_ + k) * depth_ + (a * own_.down.taps + d) * in_ + c];
        PackedMatrix<T>& packed = made.weight.emplace_back(empty_columns<T>(in_, depth, lanes_));
        GRU_NATIVE_COUNTING(packed.work = Work::mac_inputs);
        fill_columns(packed, in_, lanes_, [&](Index column) { return rows.data() + column * depth; });
      }
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
    Index begin, end;  // in `from` and `to`
  };

  Spread(const PackedConvolution& conv, const std::vector<Phase>& phases, const OperationRows& call, Index dx_stride,
         Arena& arena)
      : own(conv.own_), high(call.outputs / own.out_channels), before(span_of(own.across) / own.across.stride) {
    const Index inputs_high = call.inputs / own.in_channels;
    begins.push_back(0);
    for (Index row = 0; row < call.in.batch; ++row) {
      const Index read = (own.across.left + call.in.length_of(row) - 1) / own.across.stride + 1;
      begins.push_back(begins.back() + before + std::max(call.out.length_of(row), read));
    }
    d = arena.template take_zeroed<T>(begins.back() * high * own.out_channels);
    from = arena.template take<Index>(call.in.rows * inputs_high);
    to = arena.template take<Index>(call.in.rows * inputs_high);
    for (std::size_t i = 0; i < phases.size(); ++i) {
      const Index stride = own.down.stride, first = (phases[i].down - own.down.left % stride + stride) % stride;
      for (Index h = first; h < inputs_high;) {
        const Share taps = taps_of(phases[i], h);
        Index end = h + stride;
        while (end < inputs_high && same(taps_of(phases[i], end), taps)) end += stride;
        if (taps.begin < taps.end) add(phases[i], i, taps, {h, std::min(end, inputs_high)}, conv.out_, call, dx_stride);
        h = end;
      }
    }
  }
  // Where an output's gradient lies; steps begin with the zeros before a sequence.
  Index at(Index row, Index step, Index h) const {
    return ((begins[static_cast<std::size_t>(row)] + step) * high + h) * own.out_channels;
  }

  const ConvolutionOptions& own;
  const Index high, before;              // of y; zeros before a sequence
  std::vector<Index> begins;             // of each sequence, in steps
  T* d = nullptr;                        // [step][height][channel of y]
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
           Index dx_stride) {
    Places made{number, {}, count, count};
    const Index down = static_cast<Index>(phase.back_down.size());
    const Index least = phase.back_down[static_cast<std::size_t>(taps.begin)];  // the farthest back
    for (std::size_t a = 0; a < phase.back_across.size(); ++a)
      for (Index b = taps.begin; b < taps.end; ++b) {
        const Index place =
            (before - phase.back_across[a]) * high + least - phase.back_down[static_cast<std::size_t>(b)];
        add_tap(made.runs, {place * own.out_channels, (static_cast<Index>(a) * down + b) * depth, depth},
                own.groups == 1);
      }
    for (Index t = 0; t < call.in.seq_len; ++t) {
      const Index x = own.across.left + t;
      for (Index row = 0; x % own.across.stride == phase.across && row < call.in.alive(t); ++row)
        for (Index h = rows.begin; h < rows.end; h += own.down.stride) {
          from[count] = at(row, x / own.across.stride, (own.down.left + h) / own.down.stride - least);
          to[count++] = (call.in.first(t) + row) * dx_stride + h * own.in_channels;
        }
    }
    made.end = count;
    places.push_back(std::move(made));
  }
  Index count = 0;
};

// Of the weights: each member writes those of its outputs. dw: [group][run][out of the group][k of the run].
template <class T>
void PackedConvolution<T>::sum_gradients(const OperationRows& call, const Kept<T>& kept, Matrix<const T> d,
                                         const std::vector<Run>& runs, T* dw, const std::vector<T*>& dweights,
                                         T* scratch, int member, int members) const {
  const Index rows = call.out.rows * (call.outputs / own_.out_channels);
  const Share mine = share_of(out_, outputs_at_once, member, members);
  for (Index g = 0; g < own_.groups; ++g)
    for (const Run& run : runs) {
      T* const made = dw + (g * depth_ + run.first) * out_;
      const WeightGradients<T> sums{rows,
                                    {d.base + g * out_, d.stride},
                                    out_,
                                    {kept.rows.base + g * in_ + run.from, 0, kept.offset},
                                    run.depth,
                                    made,
                                    own_.bias && run.first == 0 ? dweights[1] + g * out_ : nullptr};
      sum_weight_gradients(sums, scratch, member, members);
      for (Index k = mine.begin; k < mine.end; ++k) {
        T* const to = dweights[0] + (g * out_ + k) * depth_;
        const T* from = made + k * run.depth;
        for (Index tap = run.first / in_; tap < (run.first + run.depth) / in_; ++tap) {
          T* const place = to + tap % own_.down.taps * own_.across.taps + tap / own_.down.taps;
          for (Index c = 0; c < in_; ++c) place[c * taps_] = *from++;
        }
      }
    }
}

template <class T>
void PackedConvolution<T>::backward(const OperationRows& call, const Kept<T>& kept, Matrix<T> d, Matrix<T> dx,
                                    const std::vector<T*>& dweights, Arena& arena, TeamLease& team) const {
  const Index channels = own_.out_channels, high = call.outputs / channels;
  const ChosenActivation<T> f = chosen<T>(own_.activation);
  const Padded padded(own_.across, own_.down, own_.in_channels, call.inputs / own_.in_channels, call.in);
  const std::vector<Run> runs = runs_at(padded.height * own_.in_channels);
  const std::vector<Phase> none;
  const std::vector<Phase>& phases = dx.base ? phases_.get([&] { return make_phases(); }) : none;
  std::optional<Spread> spread;
  if (dx.base) spread.emplace(*this, phases, call, dx.stride, arena);
  const Matrix<T> rows =
      high == 1 || dweights.empty() ? d : Matrix<T>{arena.template take<T>(call.out.rows * high * channels), channels};
  T* const dw = arena.template take<T>(dweights.empty() ? 0 : channels * depth_);
  Index deepest = 0, widest = 0;
  for (const Run& run : runs) deepest = std::max(deepest, run.depth);
  for (const Phase& phase : phases) widest = std::max(widest, own_.in_channels - in_ + phase.weight.back().columns());
  const T* const zeros = arena.template take_zeroed<T>(widest);
  const Index room = std::max(dweights.empty() ? 0 : weight_gradients_scratch<T>(out_, deepest, team.size()),
                              dx.base ? Taps<T>::rows_at_once * padded_stride(widest, sizeof(T)) : 0);
  std::vector<T*> scratch(static_cast<std::size_t>(team.size()));
  for (T*& own : scratch) own = arena.template take<T>(room);

  Crew all(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    T* const own = scratch[static_cast<std::size_t>(rank)];
    const Share steps = share_of(call.out.seq_len, 1, rank, team.size());
    Progress progress;
    for (Index t = steps.begin; t < steps.end; ++t)
      for (Index row = 0; row < call.out.alive(t); ++row) {
        const Index i = call.out.first(t) + row;
        T* const at = d.base + i * d.stride;
        if (own_.activation != Activation::identity)
          kernels_for<T>().function.backward(f, kept.outputs.base + i * kept.outputs.stride, at, at, call.outputs);
        if (spread) copy_row(at, call.outputs, spread->d + spread->at(row, spread->before + t, 0));
        if (rows.base != d.base) copy_row(at, call.outputs, rows.base + i * call.outputs);
        progress.add(macs_of_function * static_cast<double>(call.outputs));
      }
    all.barrier(rank);
    if (!dweights.empty()) sum_gradients(call, kept, read_only(rows), runs, dw, dweights, own, rank, team.size());
    for (std::size_t i = 0; spread && i < spread->places.size(); ++i) {
      const auto& places = spread->places[i];
      const Share mine = share_of(places.end - places.begin, whole_tiles, rank, team.size());
      const Taps<T> sums{phases[places.phase].weight, places.runs, out_, in_, zeros};
      sums.each_sum(
          {spread->d, 0, spread->from + places.begin}, mine, own, [&](Index begin, Index count, Matrix<T> from) {
            for (Index i = 0; i < count; ++i)
              copy_row(from.base + i * from.stride, own_.in_channels, dx.base + spread->to[places.begin + begin + i]);
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
