#include "engine/model/largest.h"

#include <algorithm>
#include <limits>

#include "engine/matrix/matrices.h"
#include "engine/matrix/narrow.h"
#include "runtime/interruption.h"
#include "runtime/memory.h"

namespace gru_native {
namespace {

// k of the largest 2^k that is not above n.
Index power_within(Index n) {
  Index k = 0;
  while (n >> (k + 1) > 0) ++k;
  return k;
}

// Whether the rows of each window are compared one by one, since windows share few of them. Else all intervals of 2^k
// rows are made, of which each window is two.
bool one_by_one(const LargestSide& w) { return w.taps - 1 <= w.stride * power_within(w.taps) + 1; }

// Whether y is x.
bool moves_only(const LargestSide& w, Index size) {
  return w.taps == 1 && w.stride == 1 && w.left == 0 && w.outputs == size;
}

// The rows of a window that exist.
Share rows_of_window(const LargestSide& w, Index i, Index size) {
  const Index first = i * w.stride - w.left;
  return {std::max(first, Index(0)), std::min(first + w.taps, size)};
}

// Of `size` rows of n numbers, compared as they come. row(i, to): row i, made at `to` if it has to be; spare: room for
// one, if so.
template <class T, class F>
void largest_in_turn(const LargestSide& w, Index size, Index n, const F& row, T* spare, T* y, Index y_apart,
                     Progress& progress) {
  const auto larger_of = kernels_for<T>().taps.larger;
  for (Index i = 0; i < w.outputs; ++i, y += y_apart) {
    const Share rows = rows_of_window(w, i, size);
    progress.add(macs_of_copy * static_cast<double>(n));
    if (rows.begin >= rows.end) {
      std::fill_n(y, n, -std::numeric_limits<T>::infinity());
      continue;
    }
    const T* largest = row(rows.begin, y);
    for (Index at = rows.begin + 1; at < rows.end; ++at, largest = y) larger_of(largest, row(at, spare), n, y);
    if (largest != y) copy_row(largest, n, y);
  }
}

// The same of rows that are `apart` from each other. Where windows share many, the largest of 2^k rows, from each row
// on, follow from those of half as many; and a window is two such intervals, which may overlap. table: [k - 1][row][n].
template <class T>
void largest_of_rows(const LargestSide& w, const T* x, Index size, Index apart, Index n, T* table, T* y, Index y_apart,
                     Progress& progress) {
  if (one_by_one(w)) {
    const auto row = [&](Index i, T*) { return x + i * apart; };
    return largest_in_turn<T>(w, size, n, row, nullptr, y, y_apart, progress);
  }
  const auto larger_of = kernels_for<T>().taps.larger;
  const auto made = [&](Index k, Index row) { return table + ((k - 1) * size + row) * n; };
  const auto at = [&](Index k, Index row) { return k == 0 ? x + row * apart : made(k, row); };
  for (Index k = 1; k <= power_within(std::min(w.taps, size)); ++k) {
    const Index half = Index(1) << (k - 1);
    for (Index row = 0; row + 2 * half <= size; ++row)
      larger_of(at(k - 1, row), at(k - 1, row + half), n, made(k, row));
    progress.add(macs_of_copy * static_cast<double>(size * n));
  }
  for (Index i = 0; i < w.outputs; ++i, y += y_apart) {
    const Share rows = rows_of_window(w, i, size);
    progress.add(macs_of_copy * static_cast<double>(n));
    if (rows.begin >= rows.end) {
      std::fill_n(y, n, -std::numeric_limits<T>::infinity());
      continue;
    }
    const Index k = power_within(rows.end - rows.begin);
    larger_of(at(k, rows.begin), at(k, rows.end - (Index(1) << k)), n, y);
  }
}
Index rows_in_table(const LargestSide& w, Index size) {
  return one_by_one(w) ? 0 : power_within(std::min(w.taps, size)) * size;
}

}  // namespace

template <class T>
void largest_of_windows(const LargestSide& down, const LargestSide& across, const T* x, Index width, Index batch,
                        Index height, Index channels, T* y) {
  constexpr Index most = 256;  // numbers of a row at once, whose table stays in the cache
  const Index row = batch * down.outputs * channels;
  const bool lowers = !moves_only(down, height);
  const bool in_turn = across.stride >= across.taps;  // columns: none is in two windows
  Buffer<T> table(std::max(rows_in_table(down, height) * channels, rows_in_table(across, width) * std::min(row, most)));
  Buffer<T> lower(lowers ? row * (in_turn ? 1 : width) : 0);
  Progress progress;
  // A column as the windows down leave it.
  const auto column = [&](Index i, T* to) {
    const T* const from = x + i * batch * height * channels;
    for (Index b = 0; b < batch && lowers; ++b)
      largest_of_rows(down, from + b * height * channels, height, channels, channels, table.data(),
                      to + b * down.outputs * channels, channels, progress);
    return lowers ? static_cast<const T*>(to) : from;
  };
  if (in_turn) return largest_in_turn(across, width, row, column, lower.data(), y, row, progress);
  for (Index i = 0; i < width && lowers; ++i) column(i, lower.data() + i * row);
  for (Index from = 0; from < row; from += most)
    largest_of_rows(across, (lowers ? lower.data() : x) + from, width, row, std::min(most, row - from), table.data(),
                    y + from, row, progress);
}
template void largest_of_windows(const LargestSide&, const LargestSide&, const float*, Index, Index, Index, Index,
                                 float*);
template void largest_of_windows(const LargestSide&, const LargestSide&, const double*, Index, Index, Index, Index,
                                 double*);

}  // namespace gru_native
