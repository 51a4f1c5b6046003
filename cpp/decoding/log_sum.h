// log(e^a + e^b), where -infinity is the logarithm of 0.
#pragma once
#include <algorithm>
#include <cmath>

namespace gru_native {

inline double log_sum(double a, double b) {
  const double top = std::max(a, b);
  return std::isinf(top) ? top : top + std::log1p(std::exp(std::min(a, b) - top));
}

}  // namespace gru_native
