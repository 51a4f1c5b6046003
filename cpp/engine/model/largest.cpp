#include "engine/model/largest.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/interruption.h"
#include "runtime/memory.h"

namespace gru_native {
namespace {

template <class T>
void larger_of(const T* a, const T* b, Index n, T* y) {
  for (Index c = 0; c < n; ++c) y[c] = ((b[c] > a[c]) | std::isnan(b[c])) ? b[c] : a[c];
}

// k of the largest 2^k that is not above n.
Index power_within(Index n) {
  Index k = 0;
  while (n >> (k + 1) > 0) ++k;
  return k;
}

// Of `size` rows of n numbers, which are `apart` from each other. The largest of 2^k rows, from each row on, follow
// from those of half as many; and a window is two such intervals, which may overlap. table: [k - 1][row][n].
template <class T>
void largest_of_rows(const LargestSide& w, const T* x, Index size, Index apart, Index n, T* table, T* y,
                     Index y_apart) {
  const auto made = [&](Index k, Index row) { return table + ((k - 1) * size + row) * n; };
  const auto at = [&](Index k, Index row) { return k == 0 ? x + row * apart : made(k, row); };
  for (Index k = 1; k <= power_within(std::min(w.taps, size)); ++k) {
    const Index half = Index(1) << (k - 1);
    for (Index row = 0; row + 2 * half <= size; ++row)
      larger_of(at(k - 1, row), at(k - 1, row + half), n, made(k, row));
  }
  for (Index i = 0; i < w.outputs; ++i, y += y_apart) {
    const Index first = i * w.stride - w.left, begin = std::max(first, Index(0)), end = std::min(first + w.taps, size);
    if (begin < end) {
      const Index k = power_within(end - begin);
      larger_of(at(k, begin), at(k, end - (Index(1) << k)), n, y);
    } else {
      std::fill_n(y, n, -std::numeric_limits<T>::infinity());
    }
  }
}

}  // namespace

template <class T>
void largest_of_windows(const LargestSide& down, const LargestSide& across, const T* x, Index width, Index batch,
                        Index height, Index channels, T* y) {
  constexpr Index most = 256;  // numbers of a row at once, whose table stays in the cache
  const Index column = down.outputs * channels, row = batch * column;
  const auto table_of = [](const LargestSide& w, Index size, Index n) {
    return power_within(std::min(w.taps, size)) * size * n;
  };
  Buffer<T> lower(width * row);
  Buffer<T> table(std::max(table_of(down, height, channels), table_of(across, width, std::min(row, most))));
  Progress progress;
  for (Index i = 0; i < width * batch; ++i) {
    largest_of_rows(down, x + i * height * channels, height, channels, channels, table.data(),
                    lower.data() + i * column, channels);
    progress.add(macs_of_copy * static_cast<double>((height + down.outputs) * channels));
  }
  for (Index from = 0; from < row; from += most) {
    const Index n = std::min(most, row - from);
    largest_of_rows(across, lower.data() + from, width, row, n, table.data(), y + from, row);
    progress.add(macs_of_copy * static_cast<double>((width + across.outputs) * n));
  }
}
template void largest_of_windows(const LargestSide&, const LargestSide&, const float*, Index, Index, Index, Index,
                                 float*);
template void largest_of_windows(const LargestSide&, const LargestSide&, const double*, Index, Index, Index, Index,
                                 double*);

}  // namespace gru_native
