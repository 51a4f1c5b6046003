// Inter-layer dropout: an element is 0 with probability p, else multiplied by 1 / (1 - p).
#pragma once
#include <cstdint>

#include "engine/sequence/timeline.h"

namespace gru_native {

class Dropout {
 public:
  Dropout() = default;  // p = 0
  Dropout(double p, std::uint64_t seed) : p_(p), seed_(seed) {}
  bool active() const { return p_ > 0; }

  // Compact rows [begin, end) of what layer + 1 reads, or of its gradient.
  template <class T>
  void apply(Matrix<T> m, Index columns, const Timeline& time, Index layer, Index begin, Index end) const;

 private:
  double p_ = 0;
  std::uint64_t seed_ = 0;
};

}  // namespace gru_native
