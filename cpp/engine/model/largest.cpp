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

// Of `size` rows of n numbers, which are `apart` from each other. The largest of 2^k rows, from each row on, follow
// from those of half as many; and a window is two such intervals, which may overlap. table: [k - 1][row][n].
template <class T>
void largest_of_rows(const LargestSide& w, const T* x, Index size, Index apart, Index n, T* table, T* y,
                     Index y_apart) {
  const auto larger_of = kernels_for<T>().taps.larger;
  const bool alone = one_by_one(w);
  const auto made = [&](Index k, Index row) { return table + ((k - 1) * size + row) * n; };
  const auto at = [&](Index k, Index row) { return k == 0 ? x + row * apart : made(k, row); };
  for (Index k = 1; !alone && k <= power_within(std::min(w.taps, size)); ++k) {
    const Index half = Index(1) << (k - 1);
    for (Index row = 0; row + 2 * half <= size; ++row)
      larger_of(at(k - 1, row), at(k - 1, row + half), n, made(k, row));
  }
  for (Index i = 0; i < w.outputs; ++i, y += y_apart) {
    const Share rows = rows_of_window(w, i, size);
    if (rows.begin >= rows.end) {
      std::fill_n(y, n, -std::numeric_limits<T>::infinity());
    } else if (rows.end - rows.begin == 1) {
      copy_row(at(0, rows.begin), n, y);
    } else if (alone) {
      larger_of(at(0, rows.begin), at(0, rows.begin + 1), n, y);
      for (Index row = rows.begin + 2; row < rows.end; ++row) larger_of(y, at(0, row), n, y);
    } else {
      const Index k = power_within(rows.end - rows.begin);
      larger_of(at(k, rows.begin), at(k, rows.end - (Index(1) << k)), n, y);
    }
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
  const auto larger_of = kernels_for<T>().taps.larger;
  const Index row = batch * down.outputs * channels;
  const bool lowers = !moves_only(down, height);
  const bool in_turn = across.stride >= across.taps;  // columns: none is in two windows
  Buffer<T> table(std::max(rows_in_table(down, height) * channels, rows_in_table(across, width) * std::min(row, most)));
  Buffer<T> lower(lowers ? row * (in_turn ? 1 : width) : 0);
  Progress progress;
  // A column as the windows down leave it: made at `to`, if these do anything.
  const auto column = [&](Index i, T* to) {
    const T* const from = x + i * batch * height * channels;
    progress.add(macs_of_copy * static_cast<double>(batch * (height + down.outputs) * channels));
    if (!lowers) return from;
    for (Index b = 0; b < batch; ++b)
      largest_of_rows(down, from + b * height * channels, height, channels, channels, table.data(),
                      to + b * down.outputs * channels, channels);
    return static_cast<const T*>(to);
  };
  if (in_turn) {
    for (Index i = 0; i < across.outputs; ++i, y += row) {
      const Share columns = rows_of_window(across, i, width);
      if (columns.begin >= columns.end) {
        std::fill_n(y, row, -std::numeric_limits<T>::infinity());
        progress.add(macs_of_copy * static_cast<double>(row));
        continue;
      }
      const T* largest = column(columns.begin, y);
      for (Index c = columns.begin + 1; c < columns.end; ++c, largest = y)
        larger_of(largest, column(c, lower.data()), row, y);
      if (largest != y) copy_row(largest, row, y);
    }
    return;
  }
  for (Index i = 0; i < width && lowers; ++i) column(i, lower.data() + i * row);
  for (Index from = 0; from < row; from += most) {
    const Index n = std::min(most, row - from);
    largest_of_rows(across, (lowers ? lower.data() : x) + from, width, row, n, table.data(), y + from, row);
    progress.add(macs_of_copy * static_cast<double>((width + across.outputs) * n));
  }
}
template void largest_of_windows(const LargestSide&, const LargestSide&, const float*, Index, Index, Index, Index,
                                 float*);
template void largest_of_windows(const LargestSide&, const LargestSide&, const double*, Index, Index, Index, Index,
                                 double*);

}  // namespace gru_native
