// Windows over time at work on a stream: the steps that they still read, in front of those that come.
#pragma once
#include <algorithm>
#include <memory>

#include "engine/model/operation.h"
#include "spec/convolution.h"

namespace gru_native {

// compute(first, y, rows): some rows of y; row i reads from row i of `first` on, where steps lie `columns` apart.
template <class T, class Compute>
class WindowStream final : public OperationStream<T> {
 public:
  WindowStream(const Compute& compute, const Windows& windows, Index columns, Index batch, Index window, Arena& arena)
      : compute_(compute),
        windows_(windows),
        columns_(columns),
        batch_(batch),
        span_(span_of(windows)),
        room_(2 * span_ + window),
        first_wait_(windows.causal ? 0 : span_),
        steps_(arena.take_zeroed<T>(batch * room_ * columns)),
        offset_(arena.take<Index>(batch * window)) {
    load(nullptr);
  }

  Index output_len(Index steps) const override {
    return steps <= wait_ ? 0 : (steps - wait_ - 1) / windows_.stride + 1;
  }

  Index run(Rows<const T> x, Index steps, Matrix<T> y, TeamLease& team) override {
    if (at_ + steps > room_) {  // rarely: there is room for as many steps as it keeps, and more
      for (Index b = 0; b < batch_; ++b) std::copy_n(row(b, at_ - span_), span_ * columns_, row(b, 0));
      at_ = span_;
    }
    for (Index t = 0; t < steps; ++t)
      for (Index b = 0; b < batch_; ++b) std::copy_n(row_at(x, t * batch_ + b), columns_, row(b, at_ + t));
    const Index outputs = output_len(steps), rows = outputs * batch_;
    Rows<const T> first{row(0, at_ + wait_ - span_), windows_.stride * columns_, nullptr};
    if (batch_ > 1) {
      for (Index i = 0; i < rows; ++i) offset_[i] = (i % batch_ * room_ + i / batch_ * windows_.stride) * columns_;
      first.offset = offset_;
    }
    if (rows > 0)
      team.run([&](int rank) {
        const FlushDenormals flush;
        const Share mine = share_of(rows, 1, rank, team.size());
        if (mine.begin < mine.end) compute_(first, y, mine);
      });
    wait_ += outputs * windows_.stride - steps;
    at_ += steps;
    return outputs;
  }

  void store(T* to) const override {
    for (Index b = 0; b < batch_; ++b) {
      to = std::copy_n(row(b, at_ - span_), span_ * columns_, to);
      if (has_phase(windows_)) *to++ = static_cast<T>(first_wait_ - wait_);
    }
  }
  void load(const T* from) override {
    at_ = span_;
    wait_ = first_wait_;
    const Index stride = windows_.stride;
    for (Index b = 0; b < batch_; ++b) {
      std::fill_n(row(b, 0), span_ * columns_, T(0));
      if (!from) continue;
      std::copy_n(from, span_ * columns_, row(b, 0));
      from += span_ * columns_;
      if (!has_phase(windows_)) continue;
      const T most = static_cast<T>(std::max(span_, stride)), passed = *from++;  // NaN: neither
      if (passed > -most && passed <= most)
        wait_ =
            std::max<Index>(0, std::min<Index>(first_wait_ - static_cast<Index>(passed), std::max(span_, stride - 1)));
    }
  }

 private:
  T* row(Index sequence, Index step) const { return steps_ + (sequence * room_ + step) * columns_; }

  const Compute compute_;
  const Windows windows_;
  const Index columns_, batch_, span_, room_, first_wait_;
  T* const steps_;           // [batch][room][columns]
  Index* const offset_;      // of the rows of a window
  Index at_ = 0, wait_ = 0;  // where the next step goes; steps before the next output's last one
};

// What `compute` is bound to must outlive it.
template <class T, class Compute>
std::unique_ptr<OperationStream<T>> stream_of_windows(const Compute& compute, const Windows& windows, Index columns,
                                                      Index batch, Index window, Arena& arena) {
  return std::make_unique<WindowStream<T, Compute>>(compute, windows, columns, batch, window, arena);
}

}  // namespace gru_native
