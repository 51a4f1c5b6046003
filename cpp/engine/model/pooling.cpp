// Pools of windows over time or of images, or of all steps of a sequence. A sequence is an image of height 1, whose
// channels are its columns. A tape of the largest numbers keeps the place in x that each is from. Sums run over the
// places of a window from top to bottom, and there from left to right; of equal numbers the first one counts as the
// largest, as in torch.
#include <cmath>
#include <limits>

#include "engine/model/operation.h"
#include "engine/model/window_stream.h"

namespace gru_native {
namespace {

constexpr Windows no_windows{1, 1, 1, 0, 0};

// Places of a window along one side that exist: begin, begin + dilation, and so on; and how many would with padding.
struct Reach {
  Index begin, taps, counted;
};
Reach reach_of(const Windows& w, Index i, Index length) {
  const Index first = i * w.stride - w.left;
  const Index before = first < 0 ? divide_up(-first, w.dilation) : 0;
  const Index begin = first + before * w.dilation;
  const Index taps = begin < length ? std::min(w.taps - before, (length - 1 - begin) / w.dilation + 1) : 0;
  return {begin, std::max<Index>(0, taps), std::min(w.taps, length + w.right - first)};
}

template <class T>
class PackedPooling final : public PackedOperation<T> {
 public:
  using Kind = PoolSpec::Kind;

  PackedPooling(const OperationSpec& spec, const PoolSpec& own)
      : PackedOperation<T>(spec), kind_(own.kind), whole_(true), across_(no_windows), down_(no_windows) {}
  PackedPooling(const OperationSpec& spec, const MaxPool1dSpec& own)
      : PackedOperation<T>(spec), kind_(Kind::max), across_(windows_of(own)), down_(no_windows) {}
  PackedPooling(const OperationSpec& spec, const AvgPool1dSpec& own)
      : PackedOperation<T>(spec),
        kind_(Kind::mean),
        counts_padding_(own.count_include_pad),
        across_(windows_of(own)),
        down_(no_windows) {}
  PackedPooling(const OperationSpec& spec, const MaxPool2dSpec& own)
      : PackedOperation<T>(spec), kind_(Kind::max), across_(windows_of(own)), down_(down_of(own)) {}
  PackedPooling(const OperationSpec& spec, const AvgPool2dSpec& own)
      : PackedOperation<T>(spec),
        kind_(Kind::mean),
        counts_padding_(own.count_include_pad),
        divisor_(own.divisor_override),
        across_(windows_of(own)),
        down_(down_of(own)) {}

  double macs_of_row(Index inputs) const override {
    const double across = static_cast<double>(across_.taps) / static_cast<double>(across_.stride);
    const double down = static_cast<double>(down_.taps) / static_cast<double>(down_.stride);
    return macs_of_copy * static_cast<double>(inputs) * std::max(1.0, whole_ ? 1.0 : across * down);
  }

  void forward(const OperationRows& call, Rows<const T> x, Matrix<T> y, TeamLease& team, Kept<T>* kept) const override {
    const Index channels = channels_of(call), wide = panel_stride<T>(call.inputs);  // of dx: operation.cpp
    Index* const from =
        kept && kind_ != Kind::mean ? kept->arena.template take<Index>(call.out.rows * call.outputs) : nullptr;
    if (kept) kept->offset = from;
    team.run([&](int rank) {
      const FlushDenormals flush;
      Progress progress;
      each_window(call, share_of(call.out.rows, 1, rank, team.size()), {0, call.in.batch},
                  [&](Index i, Index row, Index at, const Window& w) {
                    const auto step = [&](Index k) {
                      return call.in.first(w.across.begin + k % w.across.taps * across_.dilation) + row;
                    };
                    const auto dot = [&](Index k) {
                      return (w.down.begin + k / w.across.taps * down_.dilation) * channels;
                    };
                    reduce([&](Index k) { return row_at(x, step(k)) + dot(k); },
                           [&](Index k) { return step(k) * wide + dot(k); }, w, channels, y.base + i * y.stride + at,
                           from ? from + i * call.outputs + at : nullptr, progress);
                  });
    });
  }

  // Shares are of sequences if these are enough, else of channels: each sum is one member's.
  void backward(const OperationRows& call, const Kept<T>& kept, Matrix<T> d, Matrix<T> dx, const std::vector<T*>&,
                Arena&, TeamLease& team) const override {
    if (!dx.base) return;
    const Index channels = channels_of(call);
    const bool by_sequence = call.in.batch >= team.size();
    team.run([&](int rank) {
      const FlushDenormals flush;
      const Share rows = by_sequence ? share_of(call.in.batch, 1, rank, team.size()) : Share{0, call.in.batch};
      const Share mine = by_sequence ? Share{0, channels} : share_of(channels, 16, rank, team.size());
      Progress progress;
      if (mine.begin == mine.end || rows.begin == rows.end) return;
      each_window(call, {0, call.out.rows}, rows, [&](Index i, Index row, Index at, const Window& w) {
        T* const dy = d.base + i * d.stride + at;
        if (kept.offset) {
          const Index* const from = kept.offset + i * call.outputs + at;
          GRU_NATIVE_EXECUTED(add, mine.end - mine.begin);
          for (Index c = mine.begin; c < mine.end; ++c)
            if (from[c] >= 0) dx.base[from[c] + c] += dy[c];
          progress.add(macs_of_copy * static_cast<double>(mine.end - mine.begin));
          return;
        }
        GRU_NATIVE_EXECUTED(divide, mine.end - mine.begin);
        GRU_NATIVE_EXECUTED(add, w.taps() * (mine.end - mine.begin));
        for (Index c = mine.begin; c < mine.end; ++c) dy[c] /= w.divisor;
        for (Index k = 0; k < w.taps(); ++k) {
          const Index step = call.in.first(w.across.begin + k % w.across.taps * across_.dilation) + row;
          T* const sum = dx.base + step * dx.stride + (w.down.begin + k / w.across.taps * down_.dilation) * channels;
          for (Index c = mine.begin; c < mine.end; ++c) sum[c] += dy[c];
          progress.add(static_cast<double>(mine.end - mine.begin));
        }
      });
    });
  }

  std::unique_ptr<OperationStream<T>> stream(Index inputs, Index batch, Index window, Arena& arena) const override {
    const auto compute = [this, inputs](Rows<const T> first, Matrix<T> y, Share rows) {
      const Window w{{0, across_.taps, across_.taps}, {0, 1, 1}, static_cast<T>(across_.taps)};
      Progress progress;
      for (Index i = rows.begin; i < rows.end; ++i)
        reduce([&](Index k) { return row_at(first, i) + k * across_.dilation * inputs; }, [](Index k) { return k; }, w,
               inputs, y.base + i * y.stride, nullptr, progress);
    };
    return stream_of_windows<T>(compute, across_, inputs, batch, window, arena);
  }

 private:
  struct Window {
    Reach across, down;
    T divisor;
    Index taps() const { return across.taps * down.taps; }
  };
  Reach across(Index t, Index length) const {
    if (kind_ == Kind::last) return {length - 1, 1, 1};
    return whole_ ? Reach{0, length, length} : reach_of(across_, t, length);
  }
  Window window(const Reach& across, const Reach& down) const {
    const Index counted = counts_padding_ ? across.counted * down.counted : across.taps * down.taps;
    return {across, down, static_cast<T>(divisor_ > 0 ? divisor_ : counted)};
  }
  static Index channels_of(const OperationRows& call) { return call.channels > 0 ? call.channels : call.inputs; }

  // f(row of y, row of the sorted batch, where in the row of y, window) for some rows of y, of some of the batch.
  template <class F>
  void each_window(const OperationRows& call, Share rows, Share batch, const F& f) const {
    const Index channels = channels_of(call), height = call.inputs / channels, high = call.outputs / channels;
    for (Index t = 0; t < call.out.seq_len; ++t) {
      const Index begin = std::max(batch.begin, rows.begin - call.out.first(t));
      for (Index row = begin; row < std::min(batch.end, call.out.alive(t)); ++row) {
        const Index i = call.out.first(t) + row;
        if (i >= rows.end) return;
        const Reach wide = across(t, call.in.length_of(row));
        for (Index h = 0; h < high; ++h) f(i, row, h * channels, window(wide, reach_of(down_, h, height)));
      }
    }
  }

  // y from the columns of at(0), at(1) and so on. from: the place of the largest number of each column, -1 if there is
  // none; null: not wanted.
  template <class At, class Place>
  void reduce(const At& at, const Place& place, const Window& w, Index columns, T* y, Index* from,
              Progress& progress) const {
    const Index taps = w.taps();
    if (from) std::fill_n(from, columns, taps > 0 ? place(0) : Index(-1));
    if (taps == 0) std::fill_n(y, columns, kind_ == Kind::max ? -std::numeric_limits<T>::infinity() : T(0));
    else std::copy_n(at(0), columns, y);
    for (Index k = 1; k < taps; ++k) {
      const T* const x = at(k);
      progress.add(macs_of_copy * static_cast<double>(columns));
      if (kind_ == Kind::max) {
        GRU_NATIVE_EXECUTED(select, columns);
        const Index own = from ? place(k) : 0;
        for (Index c = 0; from && c < columns; ++c) from[c] = beats(x[c], y[c]) ? own : from[c];
        for (Index c = 0; c < columns; ++c) y[c] = beats(x[c], y[c]) ? x[c] : y[c];
      } else {
        GRU_NATIVE_EXECUTED(add, columns);
        for (Index c = 0; c < columns; ++c) y[c] += x[c];
      }
    }
    if (kind_ != Kind::mean) return;
    GRU_NATIVE_EXECUTED(divide, columns);
    for (Index c = 0; c < columns; ++c) y[c] /= w.divisor;
  }
  // NaN is larger than any number, as in torch.
  static bool beats(T a, T b) { return a > b || std::isnan(a); }

  const Kind kind_;
  const bool whole_ = false, counts_padding_ = false;
  const Index divisor_ = 0;  // instead of how many numbers there are; 0: none
  const Windows across_, down_;
};

}  // namespace

template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const PoolSpec& own) {
  return std::make_shared<PackedPooling<T>>(spec, own);
}
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const MaxPool1dSpec& own) {
  return std::make_shared<PackedPooling<T>>(spec, own);
}
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const AvgPool1dSpec& own) {
  return std::make_shared<PackedPooling<T>>(spec, own);
}
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const MaxPool2dSpec& own) {
  return std::make_shared<PackedPooling<T>>(spec, own);
}
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const AvgPool2dSpec& own) {
  return std::make_shared<PackedPooling<T>>(spec, own);
}
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const PoolSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const PoolSpec&);
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const MaxPool1dSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const MaxPool1dSpec&);
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const AvgPool1dSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const AvgPool1dSpec&);
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const MaxPool2dSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const MaxPool2dSpec&);
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const AvgPool2dSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const AvgPool2dSpec&);

}  // namespace gru_native
