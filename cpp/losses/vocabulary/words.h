// What a training step of a large softmax looks at: rows of the weights, in two forms.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/matrix/matrices.h"
#include "runtime/memory.h"

namespace gru_native {

// Finding one of many words, or putting a number where it belongs among many, in multiply-adds.
inline constexpr double macs_of_search = 500;

// Rows of a weight and of its bias, copied.
template <class T>
struct Words {
  Matrix<T> w{};
  T* b = nullptr;  // zeros without a bias
  Index count = 0;

  const T* row(Index i) const { return w.base + i * w.stride; }
};

// Rows of x that all need the scores of the same words, which lie side by side.
template <class T>
struct Group {
  std::vector<Index> offsets;  // where its rows of x begin (and those of dx); empty: all rows
  Index rows = 0;
  Index first = 0, count = 0;  // its words
  T* start = nullptr;          // [count], in whole panels: what a score begins at
  Matrix<T> d{};               // [row][count]: scores, then the loss's gradient

  const Index* offset() const { return offsets.empty() ? nullptr : offsets.data(); }
};

// Single words for each row of x: those of row r are [begins[r], begins[r + 1]).
template <class T>
struct Pairs {
  std::vector<Index> begins, word;
  std::vector<double> sign;  // of a tree: 1 where the way goes left, -1 where it goes right
  std::vector<T> d;          // the loss's gradient

  Index begin(Index r) const { return begins[static_cast<std::size_t>(r)]; }
  Index end(Index r) const { return begins[static_cast<std::size_t>(r) + 1]; }
};

// x.w + start, in a fixed order, whoever asks.
template <class T>
T dot(const T* x, const T* w, Index n, T start) {
  GRU_NATIVE_EXECUTED(mac_forward, n);
  constexpr Index at_once = 16;
  T sum[at_once] = {};
  Index k = 0;
  for (; k + at_once <= n; k += at_once)
    for (Index j = 0; j < at_once; ++j) sum[j] += x[k + j] * w[k + j];
  for (; k < n; ++k) sum[0] += x[k] * w[k];
  for (Index step = at_once / 2; step > 0; step /= 2)
    for (Index j = 0; j < step; ++j) sum[j] += sum[j + step];
  return sum[0] + start;
}
// y += a x
template <class T>
void add_scaled(T a, const T* x, T* y, Index n) {
  for (Index k = 0; k < n; ++k) y[k] += a * x[k];
}

// Room for the panels of one group's words.
template <class T>
PackedMatrix<T> panels_for(Index words, Index depth) {
  return empty_panels<T>(words, 1, depth, kernels_for<T>().lanes);
}
// The same panels, as many as `words` need; columns behind the last word hold anything.
template <class T>
void set_panels(PackedMatrix<T>& m, Index words) {
  m.panels = divide_up(words, m.columns_in_panel);
  GRU_NATIVE_COUNTING(std::fill(m.needed_columns.begin(), m.needed_columns.end(), 0));
}

}  // namespace gru_native
