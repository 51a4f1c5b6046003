// The best of many.
#pragma once
#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "losses/scratch.h"

namespace gru_native {

// A number, and which of its row it is.
template <class T>
struct Ranked {
  T value;
  Index k;
  bool operator<(const Ranked& other) const { return value != other.value ? value > other.value : k < other.k; }
};

// The first `most` of all, in order.
template <class R>
void keep_best(std::vector<R>& all, Index most) {
  if (static_cast<Index>(all.size()) > most) {
    std::nth_element(all.begin(), all.begin() + (most - 1), all.end());
    all.resize(static_cast<std::size_t>(most));
  }
  std::sort(all.begin(), all.end());
}

// A number that at least `most` of a row of n numbers reach, or -infinity: the `most`-th of the largest of each
// `lanes`-th number, which vectors of the compiler find.
template <class T>
T reached_by(const T* a, Index n, Index most) {
  constexpr Index lanes = 64;
  constexpr T nothing = -std::numeric_limits<T>::infinity();
  if (most > lanes / 2 || n < 4 * lanes) return nothing;
  T tops[lanes];
  std::fill_n(tops, lanes, nothing);
  for (Index begin = 0; begin + lanes <= n; begin += lanes)
    for (Index k = 0; k < lanes; ++k) tops[k] = a[begin + k] > tops[k] ? a[begin + k] : tops[k];
  std::nth_element(tops, tops + (most - 1), tops + lanes, std::greater<>());
  return tops[most - 1];
}

// The `most` largest of a row of n numbers in descending order, the first of equals first; without number `but`, and
// without -infinity.
template <class T>
void best_of_row(const T* a, Index n, Index but, Index most, std::vector<Ranked<T>>& best) {
  constexpr T nothing = -std::numeric_limits<T>::infinity();
  const Index room = 2 * most + 16;
  T level = reached_by(a, n, but < 0 ? most : most + 1);  // of which `but` may be one
  best.clear();
  constexpr Index at_once = 64;  // of most groups none is good enough, which vectors of the compiler find out
  for (Index begin = 0; begin < n; begin += at_once) {
    const Index end = std::min(begin + at_once, n);
    int good = 0;
    for (Index k = begin; k < end; ++k) good |= a[k] >= level;
    for (Index k = begin; good && k < end; ++k) {
      if (!(a[k] >= level) || a[k] == nothing || k == but) continue;
      best.push_back({a[k], k});
      if (static_cast<Index>(best.size()) < room) continue;
      std::nth_element(best.begin(), best.begin() + (most - 1), best.end());
      best.resize(static_cast<std::size_t>(most));
      level = best.back().value;
    }
  }
  keep_best(best, most);
}

}  // namespace gru_native
