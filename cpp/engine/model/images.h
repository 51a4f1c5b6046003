// Images with zeros around them, one after the other: [step][height][channels], where a step is a column of dots.
#pragma once
#include <vector>

#include "engine/matrix/matrices.h"
#include "engine/matrix/narrow.h"
#include "engine/model/image_parts.h"
#include "engine/sequence/timeline.h"
#include "runtime/interruption.h"
#include "spec/convolution.h"

namespace gru_native {

class Padded {
 public:
  Padded(const Windows& across, const Windows& down, Index channels, Index height, const Timeline& in)
      : height(down.left + height + down.right),
        across_(across),
        above_(down.left * channels),
        below_(down.right * channels),
        channels_(channels) {
    begins_.push_back(0);
    for (Index row = 0; row < in.batch; ++row)
      begins_.push_back(begins_.back() + across.left + in.length_of(row) + across.right);
  }
  const Index height;  // with zeros

  Index numbers() const { return begins_.back() * height * channels_; }
  // Of a sequence, where a place begins that is counted with its zeros.
  Index at(Index row, Index step, Index h) const {
    return ((begins_[static_cast<std::size_t>(row)] + step) * height + h) * channels_;
  }
  // Whether there are any zeros, and any above and below.
  bool pads() const { return across_.left > 0 || across_.right > 0 || pads_down(); }
  bool pads_down() const { return above_ > 0 || below_ > 0; }

  // The image of x, but for its columns of zeros, for the steps of x in a share of them.
  template <class T>
  void copy(const Timeline& in, Share steps, Rows<const T> x, T* image) const {
    const Index numbers = height * channels_ - above_ - below_;
    Progress progress;
    for (Index t = steps.begin; t < steps.end; ++t) {
      for (Index row = 0; row < in.alive(t); ++row) {
        T* to = image + at(row, across_.left + t, 0);
        if (above_ > 0) to = std::fill_n(to, above_, T(0));
        copy_row(row_at(x, in.first(t) + row), numbers, to);
        if (below_ > 0) std::fill_n(to + numbers, below_, T(0));
      }
      progress.add(macs_of_copy * static_cast<double>(in.alive(t) * height * channels_));
    }
  }
  // The same of parts.
  template <class T>
  void copy(const Timeline& in, Share steps, const ImageParts<T>& parts, T* image) const {
    const Index column = height * channels_, numbers = column - above_ - below_;
    Progress progress;
    for (Index row = 0; row < in.batch; ++row) {
      for (Index t = steps.begin; t < steps.end; ++t) {
        T* const to = image + at(row, across_.left + t, 0);
        std::fill_n(to, above_, T(0));
        std::fill_n(to + above_ + numbers, below_, T(0));
      }
      constexpr Index at_once = 64;
      for (Index t = steps.begin; t < steps.end; t += at_once) {
        const Share now{t, std::min(t + at_once, steps.end)};
        copy_parts(parts, row, now, numbers / channels_, channels_, column,
                   image + at(row, across_.left + t, 0) + above_);
        progress.add(macs_of_copy * static_cast<double>((now.end - now.begin) * column));
      }
    }
  }
  // Its columns of zeros, on the left and on the right.
  template <class T>
  void clear_sides(const Timeline& in, T* image) const {
    const Index column = height * channels_;
    for (Index row = 0; row < in.batch; ++row) {
      std::fill_n(image + at(row, 0, 0), across_.left * column, T(0));
      std::fill_n(image + at(row, across_.left + in.length_of(row), 0), across_.right * column, T(0));
    }
  }

 private:
  const Windows across_;
  const Index above_, below_, channels_;  // numbers above and below a column of dots
  std::vector<Index> begins_;             // of each sequence, in steps
};

}  // namespace gru_native
