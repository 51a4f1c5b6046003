// Images with zeros around them, one after the other: [step][height][channels], where a step is a column of dots.
#pragma once
#include <vector>

#include "engine/matrix/shares.h"
#include "engine/sequence/timeline.h"
#include "runtime/interruption.h"
#include "spec/convolution.h"

namespace gru_native {

class Padded {
 public:
  Padded(const Windows& across, const Windows& down, Index channels, Index height, const Timeline& in)
      : height(down.left + height + down.right), left_(across.left), above_(down.left), channels_(channels) {
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
  // f(compact row of x, where it goes) for the steps of x in a share of them.
  template <class F>
  void each_step(const Timeline& in, Share steps, const F& f) const {
    Progress progress;
    for (Index t = steps.begin; t < steps.end; ++t) {
      for (Index row = 0; row < in.alive(t); ++row) f(in.first(t) + row, at(row, left_ + t, above_));
      progress.add(macs_of_copy * static_cast<double>(in.alive(t) * height * channels_));
    }
  }

 private:
  const Index left_, above_, channels_;
  std::vector<Index> begins_;  // of each sequence, in steps
};

}  // namespace gru_native
