// A convolution at work on a stream: the steps that it still reads from, in front of those that come.
#pragma once
#include "engine/model/convolution.h"
#include "spec/convolution.h"

namespace gru_native {

template <class T>
class ConvolutionStream final : public OperationStream<T> {
 public:
  // The operation must outlive it.
  ConvolutionStream(const PackedConv1d<T>& operation, const Conv1dSpec& spec, Index batch, Index window, Arena& arena)
      : operation_(operation),
        spec_(spec),
        batch_(batch),
        span_(span_of(spec)),
        room_(2 * span_ + window),
        first_wait_(spec.padding.kind == Padding::causal ? 0 : span_),
        steps_(arena.take_zeroed<T>(batch * room_ * spec.in_channels)),
        offset_(arena.take<Index>(batch * window)) {
    load(nullptr);
  }

  Index output_len(Index steps) const override { return steps <= wait_ ? 0 : (steps - wait_ - 1) / spec_.stride + 1; }

  Index run(Rows<const T> x, Index steps, Matrix<T> y, TeamLease& team) override {
    const Index channels = spec_.in_channels;
    if (at_ + steps > room_) {  // rarely: there is room for as many steps as it keeps, and more
      for (Index b = 0; b < batch_; ++b) std::copy_n(row(b, at_ - span_), span_ * channels, row(b, 0));
      at_ = span_;
    }
    for (Index t = 0; t < steps; ++t)
      for (Index b = 0; b < batch_; ++b) std::copy_n(row_at(x, t * batch_ + b), channels, row(b, at_ + t));
    const Index outputs = output_len(steps), rows = outputs * batch_;
    Rows<const T> first{row(0, at_ + wait_ - span_), spec_.stride * channels, nullptr};
    if (batch_ > 1) {
      for (Index i = 0; i < rows; ++i) offset_[i] = (i % batch_ * room_ + i / batch_ * spec_.stride) * channels;
      first.offset = offset_;
    }
    if (rows > 0)
      team.run([&](int rank) {
        const FlushDenormals flush;
        const Share mine = share_of(rows, whole_tiles, rank, team.size());
        if (mine.begin < mine.end) operation_.convolve(first, y, mine);
      });
    wait_ += outputs * spec_.stride - steps;
    at_ += steps;
    return outputs;
  }

  void store(T* to) const override {
    for (Index b = 0; b < batch_; ++b) {
      to = std::copy_n(row(b, at_ - span_), span_ * spec_.in_channels, to);
      if (has_phase(spec_)) *to++ = static_cast<T>(first_wait_ - wait_);
    }
  }
  void load(const T* from) override {
    at_ = span_;
    wait_ = first_wait_;
    for (Index b = 0; b < batch_; ++b) {
      std::fill_n(row(b, 0), span_ * spec_.in_channels, T(0));
      if (!from) continue;
      std::copy_n(from, span_ * spec_.in_channels, row(b, 0));
      from += span_ * spec_.in_channels;
      if (!has_phase(spec_)) continue;
      const T most = static_cast<T>(std::max(span_, spec_.stride)), passed = *from++;  // NaN: neither
      if (passed > -most && passed <= most)
        wait_ = std::max<Index>(
            0, std::min<Index>(first_wait_ - static_cast<Index>(passed), std::max(span_, spec_.stride - 1)));
    }
  }

 private:
  T* row(Index sequence, Index step) const { return steps_ + (sequence * room_ + step) * spec_.in_channels; }

  const PackedConv1d<T>& operation_;
  const Conv1dSpec spec_;
  const Index batch_, span_, room_, first_wait_;
  T* const steps_;       // [batch][room][in_channels]
  Index* const offset_;  // of the rows of a window
  Index at_ = 0, wait_ = 0;  // where the next step goes; steps before the next output's last one
};

}  // namespace gru_native
