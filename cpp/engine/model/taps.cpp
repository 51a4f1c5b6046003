#include "engine/model/taps.h"

namespace gru_native {
namespace {

constexpr Index panel_bytes = 256 * 1024;  // read again for each tile of rows, so it should stay in the second cache

// TapsProduct::halves. channels: numbers of a tap.
template <class T>
int halves_for(Index columns, Index channels) {
  const Index halves = divide_up(columns, kernels_for<T>().lanes / 2);
  const bool fit = halves == 1 || halves == 2 || halves == 3 || halves == 5;
  return sizeof(T) == sizeof(float) && channels % 2 == 0 && fit ? static_cast<int>(halves) : 0;
}

// One row by itself, whose sums of several panels overlap. They are made in the same order as those of many.
template <class T>
void sum_of_row(const PackedMatrix<T>& w, const std::vector<Run>& runs, Rows<const T> x, const T* start, Rows<T> y,
                Index row) {
  Product<T> p = product_of(w, kernels_for<T>().lanes, w.gates, 0);
  const T* const panels = p.panels;
  p.acc = y;
  p.row_begin = row;
  p.row_end = row + 1;
  for (const Run& run : runs) {
    p.a = from_column(x, run.from);
    p.start = &run != &runs.front() ? read_only(y) : Rows<const T>{start, 0, nullptr};
    p.panels = panels + run.first * p.k_stride;
    p.depth = run.depth;
    multiply(p);
  }
}

// rows: those of all columns, one after the other.
template <class T>
void fill_group(PackedTaps<T>& taps, Index columns, const T* rows) {
  const Index depth = taps.matrix.depth;
  if (taps.halves == 0)
    return fill_columns(taps.matrix, columns, kernels_for<T>().lanes,
                        [&](Index column) { return rows + column * depth; });
  T* to = taps.matrix.data.data();
  for (Index k = 0; k < depth; k += 2)
    for (Index c = 0; c < taps.columns(); ++c)
      for (Index odd = 0; odd < 2; ++odd) *to++ = c < columns ? rows[c * depth + k + odd] : T(0);
}

template <class T>
void sum_depthwise(const GroupedTaps<T>& w, const std::vector<Run>& runs, Rows<const T> x, Rows<const T> start,
                   Rows<T> y, Share rows) {
  DepthwiseProduct<T> p{};
  p.weights = w.depthwise.data();
  p.stride = w.depthwise_stride;
  p.a = x;
  p.runs = runs.data();
  p.run_count = static_cast<Index>(runs.size());
  p.start = start;
  p.acc = y;
  p.channels = w.groups;
  GRU_NATIVE_COUNTING(p.work = w.depthwise_work);
  in_parts(rows.begin, rows.end, static_cast<double>(p.run_count * p.stride), 1, [&](Index begin, Index end) {
    p.row_begin = begin, p.row_end = end;
    kernels_for<T>().taps.depthwise(p);
  });
}

}  // namespace

template <class T>
GroupedTaps<T> empty_taps(Index groups, Index in, Index out, Index depth) {
  const Index lanes = kernels_for<T>().lanes;
  GroupedTaps<T> made{groups, in, out, {}, {}};
  if (groups > 1 && in == 1 && out == 1) {
    made.depthwise_stride = round_up(groups, lanes);
    made.depthwise = Buffer<T>(depth * made.depthwise_stride);
    return made;
  }
  for (Index g = 0; g < groups; ++g)
    made.packed.push_back({empty_columns<T>(out, depth, lanes), halves_for<T>(out, in)});
  return made;
}

template <class T>
void fill_taps(GroupedTaps<T>& taps, Index depth, const T* rows) {
  if (taps.is_depthwise())
    for (Index channel = 0; channel < taps.groups; ++channel)
      for (Index k = 0; k < depth; ++k) taps.depthwise.data()[k * taps.depthwise_stride + channel] = *rows++;
  for (PackedTaps<T>& group : taps.packed) {
    fill_group(group, taps.out, rows);
    rows += taps.out * depth;
  }
}

template <class T>
void Taps<T>::sum(Rows<const T> x, Rows<const T> first, Rows<T> y, Share rows) const {
  if (weight.is_depthwise()) return sum_depthwise(weight, runs, x, first, y, rows);
  const Kernels<T>& kernels = kernels_for<T>();
  Index group = 0;  // in this order: a last panel runs into the columns of the next group
  for (const PackedTaps<T>& taps : weight.packed) {
    const PackedMatrix<T>& w = taps.matrix;
    const Rows<const T> windows = from_column(x, group * weight.in);
    const Rows<T> acc = from_column(y, group * weight.out);
    const Rows<const T> begin = from_column(first, group * weight.out);
    ++group;
    if (rows.end - rows.begin == 1 && taps.halves == 0) {
      sum_of_row(w, runs, windows, row_at(begin, rows.begin), acc, rows.begin);
      continue;
    }
    TapsProduct<T> p{};
    p.panel_stride = w.depth * w.columns_in_panel;
    p.panels = w.data.data();
    p.width = w.width;
    p.halves = taps.halves;
    p.a = windows;
    p.runs = runs.data();
    p.run_count = static_cast<Index>(runs.size());
    p.start = begin;
    p.acc = acc;
    p.row_begin = rows.begin;
    p.row_end = rows.end;
    GRU_NATIVE_COUNTING(p.work = w.work; p.columns = weight.out);
    const Index most = taps.halves > 0 ? w.depth : panel_bytes / static_cast<Index>(sizeof(T)) / w.columns_in_panel;
    for (p.k_end = 0; p.k_begin = p.k_end, p.k_begin < w.depth; p.start = read_only(acc)) {
      p.k_end = std::min(p.k_begin + most, w.depth);
      const Index numbers = (p.k_end - p.k_begin) * w.columns_in_panel * (rows.end - rows.begin);
      in_parts(0, w.panels, static_cast<double>(numbers), 1, [&](Index panel, Index end) {
        p.panel_begin = panel, p.panel_end = end;
        kernels.taps.product(p);
      });
    }
  }
}

template GroupedTaps<float> empty_taps(Index, Index, Index, Index);
template GroupedTaps<double> empty_taps(Index, Index, Index, Index);
template void fill_taps(GroupedTaps<float>&, Index, const float*);
template void fill_taps(GroupedTaps<double>&, Index, const double*);
template struct Taps<float>;
template struct Taps<double>;

}  // namespace gru_native
