// Pools over time: of windows, or of all steps of a sequence. A tape of the largest numbers keeps the row that each is
// from. Sums run over the steps in their order.
#include <cmath>
#include <limits>

#include "engine/model/operation.h"
#include "engine/model/window_stream.h"

namespace gru_native {
namespace {

template <class T>
class PackedPooling final : public PackedOperation<T> {
 public:
  using Kind = PoolSpec::Kind;

  PackedPooling(const OperationSpec& spec, const PoolSpec& own)
      : PackedOperation<T>(spec), kind_(own.kind), whole_(true), windows_{1, 1, 1, 0, 0} {}
  PackedPooling(const OperationSpec& spec, const MaxPool1dSpec& own)
      : PackedOperation<T>(spec), kind_(Kind::max), windows_(windows_of(own)) {}
  PackedPooling(const OperationSpec& spec, const AvgPool1dSpec& own)
      : PackedOperation<T>(spec),
        kind_(Kind::mean),
        counts_padding_(own.count_include_pad),
        windows_(windows_of(own)) {}

  double macs_of_row(Index inputs) const override {
    const double steps = whole_ ? 1.0 : static_cast<double>(windows_.taps) / static_cast<double>(windows_.stride);
    return macs_of_copy * static_cast<double>(inputs) * std::max(1.0, steps);
  }

  void forward(const OperationRows& call, Rows<const T> x, Matrix<T> y, TeamLease& team, Kept<T>* kept) const override {
    const Index columns = call.inputs;
    Index* const from =
        kept && kind_ != Kind::mean ? kept->arena.template take<Index>(call.out.rows * columns) : nullptr;
    if (kept) kept->offset = from;
    team.run([&](int rank) {
      const FlushDenormals flush;
      const Share mine = share_of(call.out.rows, 1, rank, team.size());
      Progress progress;
      each_window(call, mine, [&](Index i, Index row, const Window& w) {
        const auto place = [&](Index k) { return call.in.first(w.begin + k * windows_.dilation) + row; };
        reduce([&](Index k) { return row_at(x, place(k)); }, place, w, columns, y.base + i * y.stride,
               from ? from + i * columns : nullptr, progress);
      });
    });
  }

  // Shares are of columns: each sum is one member's.
  void backward(const OperationRows& call, const Kept<T>& kept, Matrix<T> d, Matrix<T> dx, const std::vector<T*>&,
                Arena&, TeamLease& team) const override {
    if (!dx.base) return;
    const Index columns = call.inputs;
    team.run([&](int rank) {
      const FlushDenormals flush;
      const Share mine = share_of(columns, 16, rank, team.size());
      Progress progress;
      if (mine.begin == mine.end) return;
      each_window(call, {0, call.out.rows}, [&](Index i, Index row, const Window& w) {
        T* const dy = d.base + i * d.stride;
        if (kept.offset) {
          GRU_NATIVE_EXECUTED(add, mine.end - mine.begin);
          for (Index c = mine.begin; c < mine.end; ++c)
            if (const Index from = kept.offset[i * columns + c]; from >= 0) dx.base[from * dx.stride + c] += dy[c];
          progress.add(macs_of_copy * static_cast<double>(mine.end - mine.begin));
          return;
        }
        GRU_NATIVE_EXECUTED(divide, mine.end - mine.begin);
        GRU_NATIVE_EXECUTED(add, w.taps * (mine.end - mine.begin));
        for (Index c = mine.begin; c < mine.end; ++c) dy[c] /= w.divisor;
        for (Index k = 0; k < w.taps; ++k) {
          T* const sum = dx.base + (call.in.first(w.begin + k) + row) * dx.stride;
          for (Index c = mine.begin; c < mine.end; ++c) sum[c] += dy[c];
          progress.add(static_cast<double>(mine.end - mine.begin));
        }
      });
    });
  }

  std::unique_ptr<OperationStream<T>> stream(Index inputs, Index batch, Index window, Arena& arena) const override {
    const auto compute = [this, inputs](Rows<const T> first, Matrix<T> y, Share rows) {
      const Window w{0, windows_.taps, static_cast<T>(windows_.taps)};
      Progress progress;
      for (Index i = rows.begin; i < rows.end; ++i)
        reduce([&](Index k) { return row_at(first, i) + k * windows_.dilation * inputs; }, [](Index k) { return k; }, w,
               inputs, y.base + i * y.stride, nullptr, progress);
    };
    return stream_of_windows<T>(compute, windows_, inputs, batch, window, arena);
  }

 private:
  // The steps of a window that exist: begin, begin + dilation, and so on.
  struct Window {
    Index begin, taps;
    T divisor;
  };
  Window window(Index t, Index length) const {
    if (kind_ == Kind::last) return {length - 1, 1, T(1)};
    if (whole_) return {0, length, static_cast<T>(length)};
    const Index first = t * windows_.stride - windows_.left;
    const Index before = first < 0 ? divide_up(-first, windows_.dilation) : 0;
    const Index begin = first + before * windows_.dilation;
    const Index taps =
        begin < length ? std::min(windows_.taps - before, (length - 1 - begin) / windows_.dilation + 1) : 0;
    const Index counted = counts_padding_ ? std::min(windows_.taps, length + windows_.right - first) : taps;
    return {begin, std::max<Index>(0, taps), static_cast<T>(counted)};
  }

  // f(row of y, row of the sorted batch, window) for some rows of y.
  template <class F>
  void each_window(const OperationRows& call, Share rows, const F& f) const {
    for (Index t = 0; t < call.out.seq_len; ++t)
      for (Index row = std::max<Index>(0, rows.begin - call.out.first(t)); row < call.out.alive(t); ++row) {
        const Index i = call.out.first(t) + row;
        if (i >= rows.end) return;
        f(i, row, window(t, call.in.length_of(row)));
      }
  }

  // y from the columns of at(0), at(1) and so on. from: the place of the largest number of each column, -1 if there is
  // none; null: not wanted.
  template <class At, class Place>
  void reduce(const At& at, const Place& place, const Window& w, Index columns, T* y, Index* from,
              Progress& progress) const {
    if (from) std::fill_n(from, columns, w.taps > 0 ? place(0) : Index(-1));
    if (w.taps == 0) std::fill_n(y, columns, -std::numeric_limits<T>::infinity());
    else std::copy_n(at(0), columns, y);
    for (Index k = 1; k < w.taps; ++k) {
      const T* const x = at(k);
      progress.add(macs_of_copy * static_cast<double>(columns));
      if (kind_ == Kind::max) {
        GRU_NATIVE_EXECUTED(select, columns);
        for (Index c = 0; from && c < columns; ++c)
          if (beats(x[c], y[c])) from[c] = place(k);
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
  const Windows windows_;
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
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const PoolSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const PoolSpec&);
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const MaxPool1dSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const MaxPool1dSpec&);
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const AvgPool1dSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const AvgPool1dSpec&);

}  // namespace gru_native
